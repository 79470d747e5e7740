package reseal_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// A device that joined while this one was logged out is in the list of devices
// from the first call on, however slow the first sync is: who picks devices to
// keep must not pick from an old list.
func TestDevicesAfterLogin(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	phone, ana := l.signUp("ana")
	if _, err := ana.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	w.logIn(w.phone(), "ana")
	l.tell(lies{asked: func(_ string, req proto.Message) error {
		if _, ok := req.(*resealv1.GetAccountsRequest); ok {
			time.Sleep(300 * time.Millisecond)
		}
		return nil
	}})
	ana, _, err := phone.LogIn(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil {
		t.Fatal(err)
	}
	// Nothing goes out in the name of an older list: the login brought this one.
	if v := reseal.ListVersion(ana); v != 2 {
		t.Errorf("the login begins with version %d of the list, want 2", v)
	}
	if devices, err := ana.Devices(ctx(t)); err != nil || len(devices) != 2 {
		t.Errorf("%d devices, %v", len(devices), err)
	}
}
