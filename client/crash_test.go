package client_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// story is a bit of everything: sends inline and by blob, a view, an unsend, a
// join that needs a retry, a contact that is verified, a new epoch. It begins
// when armed is called, and checks at the end that all came out right.
func story(t *testing.T, w *world.World, armed func()) {
	ana, bob, a, b1, b2 := pair(w)
	armed()
	once := a.Send(message.Once, bob)
	keep := a.SendContent(a.Content(true), message.Keep, message.MaxLife, bob)[0]
	taken := a.Send(message.Keep, bob)
	w.Run()
	once.ID()
	for i := 0; ; i++ {
		err := b2.View(once)
		var ended *client.EndedError
		if err == nil || errors.As(err, &ended) {
			break
		}
		if i == 5 {
			t.Fatal(err)
		}
	}
	if err := a.Do(client.Unsend{ID: taken.ID()}); err != nil && !errors.As(err, new(*client.EndedError)) {
		t.Fatal(err)
	}
	must(t, b1.Do(client.ChangeContact{Account: ana.ID, Change: client.Verify, Key: contact(t, b1, ana).Key}))
	w.Run()
	b3 := bob.Device()
	w.Advance(7 * 24 * time.Hour)
	self := b1.Send(message.Keep, bob)
	w.Run()
	w.Crash, w.Net = nil, nil
	w.Advance(10 * time.Second)
	w.Advance(time.Minute)
	for _, d := range []*world.Device{a, b1, b2, b3} {
		d.Disconnect()
		d.Connect()
	}
	w.Run()
	w.State(once, client.IsViewed, a, b1, b2)
	w.State(taken, client.IsUnsent, a, b1, b2)
	w.Readable(keep, b1, b2, b3)
	w.Readable(self, b2, b3)
	if got := w.Orphans(); len(got) != 0 {
		t.Fatal(got)
	}
	for _, d := range []*world.Device{a, b1, b2, b3} {
		if n := d.Engine.Unsecured(); n != 0 {
			t.Fatalf("%s has %d things to deliver: %v", d.Name, n, d.State.Names(""))
		}
		for _, x := range []*world.Message{once, keep, taken, self} {
			if d.Account == bob && x.From != d && len(d.State.Names("wait/")) > 0 {
				t.Fatalf("%s still waits", d.Name)
			}
		}
	}
	for _, d := range []*world.Device{b2, b3} {
		if c := contact(t, d, ana); !c.Verified {
			t.Fatalf("%s: %+v", d.Name, c)
		}
	}
	if len(a.Files) != 1 { // of the one that is pending
		t.Fatalf("%d files", len(a.Files))
	}
}

// every is how many steps lie between two crashes of one run; the runs begin at
// each of them, so every step is one at which some run crashes.
const every = 13

func TestACrashAtEveryStepLosesNothing(t *testing.T) {
	for _, death := range []world.Death{world.BeforeItIs, world.AfterItIs} {
		t.Run(fmt.Sprint(death), func(t *testing.T) {
			t.Parallel()
			for offset := range every {
				world.Run(t, uint64(offset), func(w *world.World) {
					crashes := 0
					story(t, w, func() {
						from := w.Steps() + offset
						w.Crash = func(n int, _ *world.Device) world.Death {
							if n >= from && (n-from)%every == 0 {
								crashes++
								return death
							}
							return world.Lives
						}
					})
					if crashes < 5 {
						t.Fatalf("%d crashes", crashes)
					}
				})
				if t.Failed() {
					t.Fatalf("crashes from step %d on", offset)
				}
			}
		})
	}
}

// One crash at each single step.
func TestASingleCrashLosesNothing(t *testing.T) {
	steps := 0
	world.Run(t, 1, func(w *world.World) {
		from := 0
		story(t, w, func() { from = w.Steps() })
		steps = w.Steps() - from
	})
	for _, death := range []world.Death{world.BeforeItIs, world.AfterItIs} {
		t.Run(fmt.Sprint(death), func(t *testing.T) {
			t.Parallel()
			for at := range steps {
				world.Run(t, 1, func(w *world.World) {
					story(t, w, func() {
						from := w.Steps()
						w.Crash = func(n int, _ *world.Device) world.Death {
							if n == from+at {
								return death
							}
							return world.Lives
						}
					})
				})
				if t.Failed() {
					t.Fatalf("crash at step %d", at)
				}
			}
		})
	}
}

// passingCalls are calls that need not come out again after a restart as they
// were: queue entries come again by themselves, requests are repeated at the
// sync, challenges are fresh each time, a view is begun again by its user.
func passingCall(key string) bool {
	for _, p := range []string{"ack/", "ask/", "epoch/", "publish/", "book/", "claim/", "block/"} {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

// What is outstanding is a function of what is stored: whatever an engine has
// under way, a restarted one has again, byte for byte; and two restarts agree.
func TestOutstandingIsAFunctionOfWhatIsStored(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		compared := 0
		check := func(d *world.Device) {
			calls := slices.DeleteFunc(d.Calls(), passingCall)
			first, second := outstanding(t, d), outstanding(t, d)
			for _, key := range calls {
				if first[key] == nil {
					t.Fatalf("%s: %s would be forgotten", d.Name, key)
				}
				compared++
			}
			for key, b := range first {
				if string(b) != string(second[key]) {
					t.Fatalf("%s: %s is not the same twice", d.Name, key)
				}
			}
			if len(first) != len(second) {
				t.Fatal("two restarts differ")
			}
		}
		story(t, w, func() {
			w.Crash = func(_ int, d *world.Device) world.Death {
				check(d)
				return world.Lives
			}
		})
		if compared < 30 {
			t.Fatalf("%d calls compared", compared)
		}
	})
}

// outstanding is what an engine on a copy of the device's records wants done.
func outstanding(t *testing.T, d *world.Device) map[string][]byte {
	t.Helper()
	e, err := client.Open(d.State.Clone(), d.W.Rand())
	must(t, err)
	out, err := e.Step(d.Clock(), client.Connected{})
	must(t, err)
	all := map[string][]byte{}
	for _, f := range out.Effects {
		switch f := f.(type) {
		case client.Call:
			if !passingCall(f.Key) {
				b, err := proto.MarshalOptions{Deterministic: true}.Marshal(f.Request)
				must(t, err)
				all[f.Key] = b
			}
		case client.Upload:
			all["upload/"+f.File] = fmt.Append(nil, f)
		}
	}
	return all
}

// Whatever the network does, everything arrives once it works.
func TestABadNetworkLosesNothing(t *testing.T) {
	for seed := range uint64(8) {
		world.Run(t, seed, func(w *world.World) {
			story(t, w, func() {
				n := 0
				w.Net = func(*world.Exchange) world.Fate {
					if n++; n%3 != 0 || n > 400 {
						return world.Deliver
					}
					return []world.Fate{world.Drop, world.LoseAnswer, world.Twice, world.Late}[n/3%4]
				}
			})
			w.DeliverLate()
			w.Run()
		})
	}
}
