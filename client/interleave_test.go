package client_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// The parts of the interleavings. A send has four turns: what it reads, the
// recipient's record, the sender's copy, the second look. The others are one
// commit each, and what they read before does not depend on the send.
const (
	partSend = iota
	partJoin
	partEpoch
)

// The turns of a send: a file has one more commit, the reference to its blob.
const (
	inlineTurns = 4
	fileTurns   = 5
)

// orders are all orders of a send's turns, a join and an epoch publication.
func orders(turns int) (all [][]int) {
	for join := range turns + 1 {
		for epoch := range turns + 1 {
			for _, joinFirst := range []bool{true, false} {
				if join != epoch && !joinFirst {
					continue
				}
				var o []int
				for turn := range turns + 1 {
					pair := []int{}
					if join == turn {
						pair = append(pair, partJoin)
					}
					if epoch == turn {
						pair = append(pair, partEpoch)
					}
					if len(pair) == 2 && !joinFirst {
						pair[0], pair[1] = pair[1], pair[0]
					}
					o = append(append(o, pair...), partSend)
				}
				all = append(all, o[:len(o)-1])
			}
		}
	}
	return all
}

// trouble is one thing that goes wrong in an interleaving.
type trouble struct {
	part, commit int
	fault        world.Fault
	// dies: the sender never sees the answer, and is away when the others sync.
	dies bool
	// file: the content is a blob. own: the device that joins is the sender's.
	file, own bool
	// read is the read that fails, counted from 1, in the place of a commit.
	read int
	// counted gets the number of reads of each part.
	counted *[3]int
}

func troubles() (all []trouble) {
	for _, dies := range []bool{false, true} {
		all = append(all, trouble{dies: dies})
		for _, f := range world.Faults {
			all = append(all, trouble{part: partSend, commit: 0, fault: f, dies: dies}, trouble{part: partSend, commit: 1, fault: f, dies: dies})
		}
	}
	for _, f := range world.Faults {
		for _, dies := range []bool{false, true} {
			all = append(all, trouble{part: partJoin, fault: f, dies: dies}, trouble{part: partEpoch, fault: f, dies: dies})
		}
	}
	return all
}

// TestNoOrphanOfAFileOrAnOwnDevice: the same with a file, whose first commit is
// the reference to its blob, and with a device that joins the sender's account,
// whose list the second look reads, too. Every third order.
func TestNoOrphanOfAFileOrAnOwnDevice(t *testing.T) {
	for _, kind := range []trouble{{file: true}, {own: true}} {
		turns, commits := inlineTurns, 2
		if kind.file {
			turns, commits = fileTurns, 3
		}
		some := orders(turns)
		for commit := range commits {
			for i, f := range world.Faults {
				tr := kind
				tr.commit, tr.fault, tr.dies = commit, f, (commit+i)%2 == 0
				t.Run(fmt.Sprintf("file=%v %d %v dies=%v", tr.file, commit, f, tr.dies), func(t *testing.T) {
					t.Parallel()
					for n := i % 3; n < len(some); n += 3 {
						world.Run(t, 1, func(w *world.World) { interleave(t, w, some[n], tr) })
						if t.Failed() {
							t.Fatalf("order %v", some[n])
						}
					}
				})
			}
		}
	}
}

// TestNoOrphanWhateverTheOrder: a send, a device that joins and an epoch that is
// published, in every order of their commits, with a death or an unknown outcome
// at each commit, of the sender too. After the next sync every pending message
// has, for every current device, a wrap or an open request, and once the sender
// is back it opens everywhere, once.
func TestNoOrphanWhateverTheOrder(t *testing.T) {
	if n := len(orders(inlineTurns)); n != 30 {
		t.Fatalf("%d orders", n)
	}
	for _, tr := range troubles() {
		t.Run(fmt.Sprintf("%d.%d %v dies=%v", tr.part, tr.commit, tr.fault, tr.dies), func(t *testing.T) {
			t.Parallel()
			for _, o := range orders(inlineTurns) {
				world.Run(t, 1, func(w *world.World) { interleave(t, w, o, tr) })
				if t.Failed() {
					t.Fatalf("order %v", o)
				}
			}
		})
	}
}

// TestNoOrphanWhateverReadFails: the same, with each single read of the server
// failing that a part makes, in every order.
func TestNoOrphanWhateverReadFails(t *testing.T) {
	tried := make([]atomic.Int32, 3)
	t.Run("orders", func(t *testing.T) {
		for _, o := range orders(inlineTurns) {
			t.Run(fmt.Sprint(o), func(t *testing.T) {
				t.Parallel()
				var reads [3]int
				world.Run(t, 1, func(w *world.World) {
					interleave(t, w, o, trouble{counted: &reads})
				})
				for part, n := range reads {
					for at := range n {
						world.Run(t, 1, func(w *world.World) { interleave(t, w, o, trouble{part: part, read: at + 1}) })
						if t.Failed() {
							t.Fatalf("part %d, read %d of %d", part, at, n)
						}
					}
					tried[part].Add(int32(n))
				}
			})
		}
	})
	for part := range tried {
		if n := tried[part].Load(); n < 30 {
			t.Errorf("%d reads of part %d in 30 orders", n, part)
		}
		t.Logf("part %d: %d reads", part, tried[part].Load())
	}
}

func interleave(t *testing.T, w *world.World, order []int, tr trouble) {
	ana, bob := w.Account("ana"), w.Account("bob")
	b1 := bob.Device()
	w.Pass(24 * time.Hour)
	a := ana.Device()
	a.Meet(bob)
	w.Run()
	// Bob's phone is to publish its next epoch.
	w.Pass(6*24*time.Hour + time.Minute)
	b1.Tick()
	if !b1.Perform("epoch/") {
		t.Fatal("no challenge")
	}
	joiner := bob.NewDevice()
	current := []*world.Device{b1, joiner}
	if tr.own {
		joiner, current = ana.NewDevice(), []*world.Device{b1}
	}
	m := a.SendContent(a.Content(tr.file), message.Keep, message.MaxLife, bob)[0]
	m.ID()
	if tr.file && !a.Perform("upload/") {
		t.Fatal("nothing is uploaded")
	}
	if tr.dies {
		w.Net = func(x *world.Exchange) world.Fate {
			if _, ok := x.Request.(*resealv1.SendRequest); ok {
				return world.LoseAnswer
			}
			return world.Deliver
		}
	}
	if tr.read > 0 {
		w.FailRead(tr.part, tr.read-1)
	} else {
		w.FailAt(tr.part, tr.commit, tr.fault)
	}
	sent, published := false, false
	w.Interleave(order,
		func() { sent = a.Perform("send/") },
		func() { _ = joiner.Join() },
		func() { published = b1.Perform("publish/") })
	if !sent || !published {
		t.Fatalf("the send was made: %v, an epoch published: %v", sent, published)
	}
	if plans := tr.read > 0 || tr.fault != world.None; plans != w.Fired() {
		t.Fatalf("a fault was planned: %v; it happened: %v", plans, w.Fired())
	}
	if tr.counted != nil {
		*tr.counted = [3]int{w.Reads(partSend), w.Reads(partJoin), w.Reads(partEpoch)}
	}
	w.Settle()
	w.Net = nil
	if tr.dies {
		a.Stop()
	}
	if err := joiner.Join(); err != nil { // its outcome is read back
		t.Fatal(err)
	}
	joiner.Start()
	b1.Disconnect()
	b1.Connect()
	w.Run()
	if got := w.Orphans(); len(got) != 0 {
		t.Fatalf("orphans: %v", got)
	}
	if tr.dies {
		a.Start()
	}
	w.Run()
	w.Advance(10 * time.Second)
	w.Readable(m, current...)
	for _, d := range current {
		if n := len(d.State.Names("in/")); n != 1 {
			t.Fatalf("%s has %d messages", d.Name, n)
		}
	}
	if n := a.Engine.Unsecured(); n != 0 || len(w.Orphans()) != 0 {
		t.Fatal("the sender is not at rest")
	}
}
