package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/reseal/reseal/internal/crashfs"
	"github.com/reseal/reseal/internal/world"
)

// The acts that came later. They are drawn from a source of their own, so that a
// seed's life without them stays what it was; see [Plan.Plain].
const (
	// Part takes a device's network away, or one direction of it, or makes it flap.
	Part Act = acts + iota
	// Mend gives it back.
	Mend
	// Die ends a node of the server with all that it has in memory.
	Die
	// Gap lets the hints of one node not reach another one, or does again.
	Gap
	// Dark takes the power of all nodes at once. What they had in flight to the
	// store is there afterwards, or is not.
	Dark
	allActs
)

// link is how a device's network is.
type link uint8

const (
	whole link = iota
	away       // nothing gets through
	mute       // nothing that it says does
	deaf       // nothing that it is told does
	flaps      // it is away and back, by turns
	links
)

// maxNodes is how many nodes one server has.
const maxNodes = 5

// nodes draws how many nodes the server has, when they and the network fail, and
// whether devices have real disks.
func (p *Plan) nodes() {
	r := rand.New(rand.NewPCG(p.Seed, 0x90de5))
	p.Nodes = 1
	if r.IntN(3) > 0 {
		p.Nodes = 2 + r.IntN(maxNodes-1)
	}
	if r.IntN(4) == 0 {
		p.Disks = 1 + r.IntN(40)
	}
	if r.IntN(4) == 0 {
		return
	}
	for range 1 + r.IntN(12) {
		act := []Act{Part, Part, Mend, Die, Gap, Dark}[r.IntN(6)]
		op := Op{act, r.Uint32(), r.Uint32(), r.Uint32()}
		p.Ops = slices.Insert(p.Ops, r.IntN(len(p.Ops)+1), op)
	}
}

// Plain is a life with one node, without disks, and with a network that fails call
// by call only.
func (p Plan) Plain() Plan {
	p.Nodes, p.Disks = 1, 0
	p.Ops = slices.DeleteFunc(slices.Clone(p.Ops), func(o Op) bool { return o.Act >= acts })
	return p
}

// spread sets the nodes up. Their clocks are up to 0.9 s off the first one's,
// less than [store.ClockTolerance] apart.
func (l *life) spread() {
	l.ways = rand.New(rand.NewPCG(l.plan.Seed, 3))
	l.gaps, l.shut = map[[2]int]bool{}, map[[2]*world.Account]bool{}
	for range l.plan.Nodes - 1 {
		l.w.Nodes(time.Duration(l.ways.IntN(1800)-900) * time.Millisecond)
	}
	if l.plan.Nodes == 1 {
		return
	}
	l.w.NodesDie = true
	l.w.Hint = func(from, to int) bool { return l.healthy || !l.gaps[[2]int{from, to}] }
}

// route: a connection comes to any of the nodes, if there is a way.
func (l *life) route(d *world.Device) int {
	if x := l.device(d); x != nil && l.network(x) != whole {
		return -1
	}
	return l.ways.IntN(l.plan.Nodes)
}

// device is what the checker knows of a device, nil while it is being made.
func (l *life) device(d *world.Device) *device {
	i := slices.IndexFunc(l.devices, func(x *device) bool { return x.Device == d })
	if i < 0 {
		return nil
	}
	return l.devices[i]
}

// network is how a device's network is now. One that flaps turns at each look.
func (l *life) network(d *device) link {
	if l.healthy {
		return whole
	}
	if d.link != flaps {
		return d.link
	}
	if d.turns++; d.turns/d.period%2 == 0 {
		return away
	}
	return whole
}

// parted is what a device's network does to a call, and whether it does anything.
func (l *life) parted(d *world.Device) (world.Fate, bool) {
	x := l.device(d)
	if x == nil {
		return world.Deliver, false
	}
	switch l.network(x) {
	case away, mute:
		return world.Drop, true
	case deaf:
		return world.LoseAnswer, true
	}
	return world.Deliver, false
}

// unheard tells whether what is streamed to a device stays on its way.
func (l *life) unheard(d *world.Device) bool {
	x := l.device(d)
	return x != nil && !l.healthy && (x.link == away || x.link == deaf || x.link == flaps && x.turns/x.period%2 == 0)
}

// fault plays one of the acts that came later.
func (l *life) fault(op Op, here []*device) {
	switch op.Act {
	case Part:
		if d, ok := pick(here, op.B, func(*device) bool { return true }); ok {
			d.link, d.turns, d.period = 1+link(op.N%uint32(links-1)), 0, 1+mod(op.N>>8, 6)
		}
	case Mend:
		if d, ok := pick(here, op.B, func(d *device) bool { return d.link != whole }); ok {
			d.link = whole
		}
	case Die:
		l.w.Restart(mod(op.N, l.plan.Nodes))
	case Dark:
		for n := range l.plan.Nodes {
			l.w.Restart(n)
		}
		l.w.Dark(op.N%2 == 0)
	case Gap:
		way := [2]int{mod(op.B, l.plan.Nodes), mod(op.N, l.plan.Nodes)}
		l.gaps[way] = !l.gaps[way]
	}
}

// disks: where the plan says so, devices have real vaults on disks that fail.
func (l *life) disks() {
	if l.plan.Disks == 0 {
		return
	}
	for _, d := range l.devices {
		d.Vault()
	}
	l.w.Power = l.power
}

// power is how a disk fails at a commit.
func (l *life) power(d *world.Device) (o world.Outage) {
	if l.healthy || l.ways.IntN(1000) >= l.plan.Disks {
		return o
	}
	o.Kind = []world.OutageKind{world.NoPower, world.NoPower, world.DiskFull, world.SyncFails}[l.ways.IntN(4)]
	o.At, o.Left = l.ways.IntN(4), crashfs.Survivals[l.ways.IntN(len(crashfs.Survivals))]
	l.note("    %s: outage %+v", d.Name, o)
	return o
}
