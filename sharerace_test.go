package reseal_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

// turns lets calls of several clients reach the server in a given order only:
// each waits until it is the first of those that are left, and the next comes when
// the server has answered it. A call that is not in the order passes.
type turns struct {
	mu      sync.Mutex
	changed *sync.Cond
	left    []string
}

// newTurns takes who calls what by their letters: "oP" is the original's PutShare.
func newTurns(order string) *turns {
	whole := map[byte]string{'o': "original", 'c': "clone", 'G': "GetShares", 'P': "PutShare", 'C': "ConfirmShare"}
	s := new(turns)
	for _, call := range strings.Fields(order) {
		s.left = append(s.left, whole[call[0]]+whole[call[1]])
	}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *turns) wait(c context.Context, call string) error {
	stop := context.AfterFunc(c, s.changed.Broadcast)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for slices.Contains(s.left, call) && s.left[0] != call {
		if c.Err() != nil {
			return errCut
		}
		s.changed.Wait()
	}
	return nil
}

// answered ends a call's turn.
func (s *turns) answered(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.left, call); i >= 0 {
		s.left = slices.Delete(s.left, i, i+1)
	}
	s.changed.Broadcast()
}

// over ends what is left of a client whose login is over.
func (s *turns) over(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = slices.DeleteFunc(s.left, func(call string) bool { return strings.HasPrefix(call, who) })
	s.changed.Broadcast()
}

// logIn logs ben in at a folder whose calls take turns under a name.
func (s *turns) logIn(t *testing.T, l *liar, dir, who string) (in *reseal.Installation, a *reseal.Account, how reseal.Login) {
	c := ctx(t)
	l.tell(lies{
		asked: func(method string, _ proto.Message) error { return s.wait(c, who+method) },
		ended: func(method string) { s.answered(who + method) },
	})
	defer l.tell(lies{})
	defer s.over(who)
	in = l.behind(dir)
	a, how, err := in.LogIn(c, "ben", []byte(secret+"ben"))
	if err != nil {
		t.Errorf("%s: %v", who, err)
	}
	return in, a, how
}

// A folder and its copy log in at the same time. Whichever way their calls meet
// at the server, one is the device of before and keeps what it had, the other sets
// its section aside and is a new device; neither fails, and no login is lost.
func TestOriginalAndCloneLogInAtOnce(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	lo, lc := w.liar(t), w.liar(t)
	phone, ben := lo.signUp("ben")
	device := ben.Device()
	id := keep(t, ana, "before", "ben")
	awaitState(t, ben, id, client.IsReady)
	leave := func(t *testing.T, in *reseal.Installation, a *reseal.Account) {
		t.Helper()
		if _, err := a.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	leave(t, phone, ben)
	dir := phone.Dir()
	outer := t // the folders outlive the subtests
	for _, order := range []struct{ calls, wins string }{
		{"oG cG cP cC oP oC", "clone"},          // the named share has gone: refused at the put
		{"oG oP cG cP cC oC", "clone"},          // sealed under a share that was dropped: refused at the confirmation
		{"oG cG cP oP oG oP cC oC", "original"}, // a conflict, then the put drops the clone's
		{"oG cG oP cP cG cP oC cC", "clone"},    // and the same the other way
	} {
		next := ""
		t.Run(order.calls, func(t *testing.T) {
			s := newTurns(order.calls)
			copied := copyFolder(outer, dir)
			type end struct {
				in  *reseal.Installation
				a   *reseal.Account
				how reseal.Login
			}
			var original, clone end
			var both sync.WaitGroup
			both.Go(func() { original.in, original.a, original.how = s.logIn(t, lo, dir, "original") })
			both.Go(func() { clone.in, clone.a, clone.how = s.logIn(t, lc, copied, "clone") })
			both.Wait()
			if t.Failed() {
				return
			}
			winner, loser := original, clone
			if order.wins == "clone" {
				winner, loser = clone, original
			}
			if winner.how != (reseal.Login{}) || winner.a.Device() != device {
				t.Errorf("the %s: %+v", order.wins, winner.how)
			}
			if !loser.how.NewDevice || !loser.how.SetAside || loser.a.Device() == device {
				t.Errorf("not the %s: %+v", order.wins, loser.how)
			}
			for _, a := range []*reseal.Account{winner.a, loser.a} {
				if _, body := open(t, a, id); string(body) != "before" {
					t.Errorf("got %q", body)
				}
			}
			leave(t, loser.in, loser.a)
			leave(t, winner.in, winner.a)
			next = winner.in.Dir()
		})
		if next == "" {
			return
		}
		dir = next
	}
}
