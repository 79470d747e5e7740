package sim

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// life is a plan that is being played.
type life struct {
	w        *world.World
	plan     Plan
	rng      *rand.Rand
	accounts []*world.Account
	devices  []*device
	sent     []*sent
	witness  *witness
	healthy  bool
	ways     *rand.Rand // which node a connection comes to
	gaps     map[[2]int]bool
	shut     map[[2]*world.Account]bool // the first ever blocked the second
	note     func(format string, args ...any)
	at       int // the op being played
}

// device is a device with what the checker knows of it.
type device struct {
	*world.Device
	gone     bool // lost for good, with what was in it
	out      bool // logged out
	restored bool // its folder came from an old copy
	old      *world.Copy
	seen     int // notices looked at
	granted  map[message.ID]time.Time
	link     link
	turns    int // how often its network was looked at
	period   int // after how many looks it flaps
	drift    int // of its clock, millionths
}

// sent is a message with what the checker knows of it.
type sent struct {
	*world.Message
	policy  message.Policy
	from    *device
	expires time.Time
	acked   bool // its sender was told that the server has it
	unsent  bool // somebody asked for it
	viewed  bool // somebody told the engine that it was shown
	refused bool
	know    message.ID
}

// broken is a broken invariant; kind is the same for all that break it.
type broken struct{ kind, what string }

func (b broken) Error() string { return b.what }

// recorder is the world's testing.TB: a world that finds itself broken ends the
// life instead of the test.
type recorder struct{ testing.TB }

func (r recorder) Helper()                      {}
func (r recorder) Fatal(args ...any)            { panic(broken{"", fmt.Sprint(args...)}) }
func (r recorder) Fatalf(f string, args ...any) { panic(broken{f, fmt.Sprintf(f, args...)}) }
func (r recorder) Error(args ...any)            { panic(broken{"", fmt.Sprint(args...)}) }
func (r recorder) Errorf(f string, args ...any) { panic(broken{f, fmt.Sprintf(f, args...)}) }

func (l *life) fail(format string, args ...any) { panic(broken{format, fmt.Sprintf(format, args...)}) }

// play plays the plan, heals the world, and checks it.
func (l *life) play() {
	l.begin()
	for i, op := range l.plan.Ops {
		l.at = i
		l.note("%3d %v %v", i, l.w.Now().Format(time.DateTime), op)
		l.act(op)
		l.watch()
	}
	l.heal()
	l.check()
}

func (l *life) begin() {
	l.witness = newWitness()
	l.w.Trace = func(what string, b []byte) {
		if !strings.HasPrefix(what, "disk of ") {
			l.bytes(what, b)
		}
		sum := sha256.Sum256(b)
		l.note("    %s: %d bytes, %x", what, len(b), sum[:8])
	}
	for i, n := range l.plan.Devices {
		a := l.w.Account([maxAccounts]string{"ana", "ben", "cleo", "dora", "emil", "fay", "gus"}[i])
		l.accounts = append(l.accounts, a)
		l.witness.keep(a)
		for range n {
			l.add(a.Device())
		}
	}
	l.w.Limit(quota.Limits{Pending: l.plan.Quota, PendingBytes: l.plan.Quota << 10, Sent: l.plan.Quota})
	if l.plan.forgets {
		l.w.Answer = func(x *world.Exchange) {
			if r, ok := x.Response.(*resealv1.ReadDayResponse); ok {
				r.Messages = nil
			}
		}
		l.w.Stream = func(_ *world.Device, ev *world.Event) []*world.Event {
			if _, ok := ev.Event.(*resealv1.EventsResponse_Message); ok {
				return nil
			}
			return []*world.Event{ev}
		}
	}
	l.spread()
	l.disks()
	l.w.Net, l.w.Crash, l.w.Route, l.w.Deaf = l.net, l.crash, l.route, l.unheard
	l.w.Faulty(l.store)
}

func (l *life) add(d *world.Device) *device {
	x := &device{Device: d, granted: map[message.ID]time.Time{}}
	l.devices = append(l.devices, x)
	l.witness.keepDevice(d)
	return x
}

// chance is one in a thousand times n.
func (l *life) chance(n int) bool {
	if l.healthy || n == 0 {
		return false
	}
	return l.rng.IntN(1000) < n
}

func (l *life) net(x *world.Exchange) world.Fate {
	fate, parted := l.parted(x.Device)
	if !parted {
		fate = l.fate()
	}
	l.note("    %s %T %v", x.Device.Name, x.Request, fate)
	l.wraps(x.Device, x.Request)
	l.sealed(x.Device, x.Request)
	return fate
}

func (l *life) fate() world.Fate {
	r := l.plan.Rates
	switch {
	case l.chance(r.Drop):
		return world.Drop
	case l.chance(r.LoseAnswer):
		return world.LoseAnswer
	case l.chance(r.Twice):
		return world.Twice
	case l.chance(r.Late):
		return world.Late
	}
	return world.Deliver
}

func (l *life) crash(int, *world.Device) world.Death {
	if !l.chance(l.plan.Rates.Crash) {
		return world.Lives
	}
	return []world.Death{world.BeforeItIs, world.AfterItIs}[l.rng.IntN(2)]
}

func (l *life) store(int) world.Fault {
	if !l.chance(l.plan.Rates.Store) {
		return world.None
	}
	return world.Faults[l.rng.IntN(len(world.Faults))]
}

// pick picks one of those that qualify, nil if none does.
func pick[V any](all []V, n uint32, ok func(V) bool) (v V, found bool) {
	all = slices.DeleteFunc(slices.Clone(all), func(v V) bool { return !ok(v) })
	if len(all) == 0 {
		return v, false
	}
	return all[mod(n, len(all))], true
}

// mod is n modulo what there is to choose from, the same on machines of 32 bits.
func mod(n uint32, of int) int { return int(n % uint32(of)) }

// runs tells whether a device's process runs.
func (d *device) runs() bool { return d.Engine != nil }

// here are an account's devices that may be used by somebody.
func (l *life) here(a *world.Account) (all []*device) {
	for _, d := range l.devices {
		if d.Account == a && !d.gone {
			all = append(all, d)
		}
	}
	return all
}

// watch looks at what happened: notices, versions, and what was acknowledged.
func (l *life) watch() {
	for _, d := range l.devices {
		for ; d.seen < len(d.Notices); d.seen++ {
			l.note("    %s %T", d.Name, d.Notices[d.seen])
			if g, ok := d.Notices[d.seen].(client.Granted); ok {
				l.granted(d, g.ID)
			}
		}
		if d.runs() {
			l.versions(d)
		}
	}
	for _, wrong := range l.w.Overfull() {
		l.fail("%s", wrong)
	}
	for _, m := range l.sent {
		if m.from.runs() && !m.acked && !m.refused {
			m.know = m.ID()
			if got, _, err := m.from.Engine.Get(m.from.Now(), m.know); err == nil {
				m.expires = got.Header.Expires.Time()
			}
			switch m.from.Is(m.Message) {
			case client.Sent:
				m.acked = true
			case client.Refused:
				m.refused = true
			}
		}
	}
}

// granted: the app shows the message. Sometimes it dies meanwhile, sometimes its
// report is late.
func (l *life) granted(d *device, id message.ID) {
	m := l.find(d, id)
	if m == nil {
		return // it has stopped since
	}
	if m.policy == message.Once {
		for _, o := range l.here(d.Account) {
			at, ok := o.granted[id]
			if ok && o != d && l.w.Now().Sub(at) < 2*time.Minute {
				l.fail("%s and %s were both granted %v", o.Name, d.Name, id)
			}
		}
		d.granted[id] = l.w.Now()
	}
	if !d.runs() || l.rng.IntN(5) == 0 {
		return
	}
	m.viewed = true
	if err := d.Do(client.Viewed{ID: id}); err != nil && !errors.Is(err, client.ErrUnknownMessage) && !errors.Is(err, world.ErrCrashed) {
		l.fail("%s: viewed: %v", d.Name, err)
	}
}

// find finds what was sent behind a message that a device has.
func (l *life) find(d *device, id message.ID) *sent {
	if !d.runs() {
		return nil
	}
	got, _, err := d.Engine.Get(d.Now(), id)
	if err != nil {
		return nil
	}
	for _, m := range l.sent {
		if m.Content.Digest == got.Header.Digest && m.To.ID == got.Header.Recipient {
			m.know = id
			return m
		}
	}
	l.fail("%s has a message that nobody sent", d.Name)
	return nil
}
