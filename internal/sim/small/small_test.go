package small

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

var (
	most  = flag.Int("small.states", 4_000, "how many states to go through")
	every = flag.Int("small.heal", 20, "one in so many states is healed")
)

// prepare makes the world and the state that the search begins with.
func prepare(t *testing.T) (*search, state) {
	t.Helper()
	s := &search{
		every: *every, byState: map[[32]byte]uint32{}, steps: map[stepKey]*device{}, byRecords: map[[32]byte]uint32{},
		asked: map[askKey]asked{}, waits: map[waitKey][]entry{}, met: map[state]bool{}, healed: map[state]bool{},
	}
	var x state
	var records []*world.State
	world.Run(t, 1, func(w *world.World) {
		ana, ben := w.Account("ana"), w.Account("ben")
		a1, a2, b1 := ana.Device(), ana.Device(), ben.Device()
		a1.Meet(ben)
		b1.Meet(ana)
		w.Run()
		a1.Disconnect()
		a2.Disconnect()
		all := []*world.Device{a1, a2, b1, ben.Device()}
		w.Run()
		for i, p := range []struct {
			from, to int
			policy   message.Policy
		}{{0, 2, message.Once}, {2, 0, message.Keep}} {
			from, to := all[p.from], all[p.to].Account
			m := planned{from: p.from, content: from.Content(false), policy: p.policy}
			id := message.ClientID{byte(i + 1)}
			m.send = client.Send{Content: m.content.ID, Policy: p.policy, Life: message.MaxLife, To: []client.Recipient{{Account: to.ID, Client: id}}}
			m.id = message.NewID(w.Time().Day(), from.Account.ID, to.ID, id, m.content.Digest)
			s.messages = append(s.messages, m)
		}
		for _, d := range all {
			s.names, s.callers, records = append(s.names, d.Name), append(s.callers, d.Caller()), append(records, d.State.Clone())
		}
		x.server = s.standing(w.Store().Clone(func() time.Time { return start })).n
	})
	for who, st := range records {
		d := &device{who: who, state: st}
		s.restart(d)
		d.lives = 0
		x.devices[who] = s.known(d).n
	}
	for m, ok := s.pending(x, 0); ok; m, ok = s.pending(x, 0) {
		x = s.after(x, m, 0)
	}
	return s, x
}

// TestFindsAFault: where what is streamed gets lost, or a claim is granted to
// everybody, the search says so, and by which course.
func TestFindsAFault(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	s, x := prepare(t)
	s.every, s.forgets = 1, true
	if _, err := s.run(x, 2000); err == nil || !strings.Contains(err.Error(), "ana/1 sends 0") {
		t.Errorf("lost events: %v", err)
	}
	s, x = prepare(t)
	for _, who := range []int{2, 3} {
		d := *s.devices[x.devices[who]]
		d.granted = 1
		x.devices[who] = s.known(&d).n
	}
	if _, err := s.run(x, 10); err == nil || !strings.Contains(err.Error(), "granted") {
		t.Errorf("two views: %v", err)
	}
}

// TestSameCourses: a second search meets the same states in the same order.
func TestSameCourses(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	var orders [2][]state
	for i := range orders {
		s, x := prepare(t)
		if _, err := s.run(x, 500); err != nil {
			t.Fatal(err)
		}
		orders[i] = s.order
	}
	if !slices.Equal(orders[0], orders[1]) {
		t.Error("two searches went two ways")
	}
}

// TestEveryCourse goes through all courses, up to so many states.
func TestEveryCourse(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	s, x := prepare(t)
	begun := time.Now()
	depth, err := s.run(x, *most)
	took := time.Since(begun)
	t.Logf("%d states to depth %d, %.0f a second; %d of devices, %d of the server, %d healed",
		len(s.order), depth, float64(len(s.order))/took.Seconds(), len(s.devices), len(s.servers), len(s.healed))
	if err != nil {
		t.Fatal(err)
	}
}
