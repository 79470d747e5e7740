package reseal_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

// crashAt logs ben in at a folder and takes the power away around the n-th
// call of a kind: what is on the disk then is copied, and the rest of the login
// never happens as far as the copy knows. It returns the copy, and whether the
// call was made at all.
func crashAt(t testing.TB, l *liar, dir, method string, after bool) (string, bool) {
	t.Helper()
	in := l.behind(dir)
	defer in.Close()
	c, cancel := context.WithCancel(ctx(t))
	defer cancel()
	var mu sync.Mutex
	var snapshot string
	cut := func(m string) error {
		mu.Lock()
		defer mu.Unlock()
		if snapshot == "" && m == method {
			snapshot = copyFolder(t, dir)
			cancel()
		}
		if snapshot != "" {
			return errCut
		}
		return nil
	}
	if after {
		l.tell(lies{answered: func(m string, _, _ proto.Message) error { return cut(m) }})
	} else {
		l.tell(lies{asked: func(m string, _ proto.Message) error { return cut(m) }})
	}
	_, _, err := in.LogIn(c, "ben", []byte(secret+"ben"))
	l.tell(lies{})
	mu.Lock()
	defer mu.Unlock()
	if snapshot != "" && err == nil {
		t.Error("the login was not cut")
	}
	return snapshot, snapshot != ""
}

// loginCalls are what a login at a known section asks the server, in order.
var loginCalls = []string{"StartLogin", "FinishLogin", "GetShares", "PutShare", "ConfirmShare", "BindSession"}

// A login that dies at any point leaves a section that the next login opens:
// the same device, with what it had.
func TestLoginCrashesAnywhere(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	l := w.liar(t)
	phone, ben := l.signUp("ben")
	device := ben.Device()
	id := keep(t, ana, "before", "ben")
	awaitState(t, ben, id, client.IsReady)
	if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	dir := phone.Dir()
	outer := t // the folders outlive the subtests
	check := func(t *testing.T) {
		t.Helper()
		in := l.behind(dir)
		ben, how, err := in.LogIn(ctx(t), "ben", []byte(secret+"ben"))
		if err != nil {
			t.Fatal(err)
		}
		if how.NewDevice || how.SetAside || ben.Device() != device {
			t.Fatalf("login: %+v", how)
		}
		if _, body := open(t, ben, id); string(body) != "before" {
			t.Errorf("got %q", body)
		}
		if n := ben.Counters().Retries; n != 0 {
			t.Errorf("%d retries", n)
		}
		if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	crash := func(t *testing.T, method string, after bool) {
		t.Helper()
		snapshot, made := crashAt(outer, l, dir, method, after)
		if !made {
			t.Fatalf("a login without %s", method)
		}
		dir = snapshot
	}
	for _, method := range loginCalls {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(method, " ", after), func(t *testing.T) {
				crash(t, method, after)
				check(t)
			})
		}
	}
	// Twice in a row, where shares change.
	at := loginCalls[3:]
	for _, first := range at {
		for _, second := range at {
			for i := range 4 {
				t.Run(fmt.Sprint(first, " ", i&1 != 0, " ", second, " ", i&2 != 0), func(t *testing.T) {
					crash(t, first, i&1 != 0)
					crash(t, second, i&2 != 0)
					check(t)
				})
			}
		}
	}
}

func keep(t testing.TB, from *reseal.Account, body string, to ...string) reseal.MessageID {
	t.Helper()
	sent, err := from.Send(ctx(t), reseal.Outgoing{To: to, Text: body, Policy: reseal.Keep})
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return sent[0].Message
}

// A login that makes a new device and dies leaves nothing that is in the way of
// the next one.
func TestFirstLoginCrashesAnywhere(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, tablet := w.signUp("ben")
	l := w.liar(t)
	id := keep(t, ana, "waiting", "ben")
	awaitState(t, tablet, id, client.IsReady)
	for _, method := range []string{"StartLogin", "FinishLogin", "GetBook", "ChallengeEpoch", "AddDevice"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(method, " ", after), func(t *testing.T) {
				snapshot, made := crashAt(t, l, t.TempDir(), method, after)
				if !made {
					t.Fatalf("a login without %s", method)
				}
				in := l.behind(snapshot)
				ben, how, err := in.LogIn(ctx(t), "ben", []byte(secret+"ben"))
				if err != nil {
					t.Fatal(err)
				}
				published := method == "AddDevice" && after
				if how.NewDevice == published {
					t.Errorf("login: %+v", how)
				}
				if _, body := open(t, ben, id); string(body) != "waiting" {
					t.Errorf("got %q", body)
				}
				if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{Remove: true, Password: []byte(secret + "ben")}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
