package sim

import (
	"slices"
	"testing"
)

// TestDrawsEveryFault: among a few lives are all numbers of nodes, and all acts;
// without those that came later a life is what it was.
func TestDrawsEveryFault(t *testing.T) {
	nodes, drawn := map[int]bool{}, map[Act]bool{}
	for seed := uint64(1); seed <= 200; seed++ {
		p := Draw(seed)
		nodes[p.Nodes] = true
		for _, o := range p.Ops {
			drawn[o.Act] = true
		}
		plain := p.Plain()
		if plain.Nodes != 1 || slices.ContainsFunc(plain.Ops, func(o Op) bool { return o.Act >= acts }) || len(plain.Ops) < 30 {
			t.Errorf("seed %d is plainly %v", seed, plain)
		}
	}
	for n := 1; n <= maxNodes; n++ {
		if !nodes[n] {
			t.Errorf("no life has %d nodes", n)
		}
	}
	for a := range allActs {
		if a != acts && !drawn[a] {
			t.Errorf("no life has %v", Op{Act: a})
		}
	}
}

// TestFlaps: a network that flaps is there and away by turns, and heals.
func TestFlaps(t *testing.T) {
	l, d := new(life), &device{link: flaps, period: 2}
	var got []link
	for range 8 {
		got = append(got, l.network(d))
	}
	if want := []link{away, whole, whole, away, away, whole, whole, away}; !slices.Equal(got, want) {
		t.Errorf("flaps as %v, want %v", got, want)
	}
	if l.healthy = true; l.network(d) != whole {
		t.Error("does not heal")
	}
}
