package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/reseal/reseal/internal/world"
)

// The acts that came last. They and the bigger worlds are drawn from a source of
// their own, so that a seed's life without them stays what it was; see [Sprout].
const (
	// Far lets half a month pass, or more than a message can live.
	Far Act = allActs + iota
	// Drift lets a clock go too fast or too slow from now on.
	Drift
	// Rot flips a bit in the folder of a device whose process has ended.
	Rot
	// Rotate hands an account over to its next key.
	Rotate
	everyAct
)

const (
	maxAccounts = 7
	maxDevices  = 6 // of an account at the beginning
)

// Draw makes the plan of a seed: 3 to 7 accounts with 1 to 6 devices.
func Draw(seed uint64) Plan {
	p := Sprout(seed)
	r := rand.New(rand.NewPCG(seed, 0x6700))
	p.Accounts = max(p.Accounts, 3+min(r.IntN(5), r.IntN(5)))
	for len(p.Devices) < p.Accounts {
		p.Devices = append(p.Devices, 1+r.IntN(2))
	}
	if r.IntN(3) == 0 {
		p.Devices[r.IntN(len(p.Devices))] = 1 + r.IntN(maxDevices)
	}
	if r.IntN(3) == 0 {
		return p
	}
	for range 1 + r.IntN(6) {
		act := []Act{Far, Drift, Rot, Rot, Rotate}[r.IntN(5)]
		p.Ops = slices.Insert(p.Ops, r.IntN(len(p.Ops)+1), Op{act, r.Uint32(), r.Uint32(), r.Uint32()})
	}
	return p
}

// age plays one of the acts that came last.
func (l *life) age(op Op, a *world.Account, here []*device) {
	switch op.Act {
	case Far:
		l.pass([]time.Duration{15 * 24 * time.Hour, 31 * 24 * time.Hour}[op.N%2])
	case Drift:
		if d, ok := pick(here, op.B, func(*device) bool { return true }); ok {
			d.drift = []int{-200, -20, 20, 200}[op.N%4]
		}
	case Rot:
		if d, ok := pick(here, op.B, func(d *device) bool { return d.OnDisk() != nil }); ok && len(here) > 1 {
			d.Stop()
			d.gone = !d.Rot(op.N)
			l.note("    %s: opens %v", d.Name, !d.gone)
		}
	case Rotate:
		a.Rotate()
		l.witness.keep(a)
	}
}

// pass lets time pass, and clocks drift.
func (l *life) pass(t time.Duration) {
	l.w.Pass(t)
	for _, d := range l.devices {
		d.Skew += t / 1e6 * time.Duration(d.drift)
		d.Tick()
	}
}
