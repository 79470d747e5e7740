package reseal_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	reseal "github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// A server that serves an older list, with the capsule that was sealed for it,
// gets nothing signed that builds on it.
func TestNothingIsSignedOverAnOlderList(t *testing.T) {
	w := newWorld(t)
	w.signUp("ana")
	l := w.liar(t)
	in := l.behind(t.TempDir())
	tablet, _, err := in.LogIn(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil {
		t.Fatal(err)
	}
	var old *resealv1.FinishLoginResponse
	l.tell(lies{answered: func(method string, _, resp proto.Message) error {
		if r, ok := resp.(*resealv1.FinishLoginResponse); ok {
			old = proto.CloneOf(r)
		}
		return nil
	}})
	if err := tablet.RemoveDevice(ctx(t), [16]byte{1}, []byte(secret+"ana")); !errors.Is(err, reseal.ErrUnknownDevice) {
		t.Fatal(err)
	}
	third, _ := w.logIn(w.phone(), "ana")
	await(t, "devices", func() bool { d, err := tablet.Devices(ctx(t)); return err == nil && len(d) == 3 })
	changed := 0
	l.tell(lies{
		asked: func(method string, _ proto.Message) error {
			if method == "RemoveDevice" || method == "ChangePassword" {
				changed++
			}
			return nil
		},
		answered: func(_ string, _, resp proto.Message) error {
			if r, ok := resp.(*resealv1.FinishLoginResponse); ok {
				r.List, r.Certificates, r.Capsules = old.List, old.Certificates, old.Capsules
			}
			return nil
		},
	})
	if err := tablet.RemoveDevice(ctx(t), third.Device(), []byte(secret+"ana")); !errors.Is(err, reseal.ErrServer) {
		t.Errorf("a device is removed from an older list: %v", err)
	}
	if err := tablet.ChangePassword(ctx(t), []byte(secret+"ana"), []byte("another long password for it")); !errors.Is(err, reseal.ErrServer) {
		t.Errorf("a capsule is sealed over an older list: %v", err)
	}
	if changed != 0 {
		t.Errorf("%d changes were sent", changed)
	}
}
