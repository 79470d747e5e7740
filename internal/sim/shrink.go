package sim

import "slices"

// Shrink cuts a plan that breaks down to a lesser one that still does: pieces of
// its acts, then devices and faults. It plays at most budget plans.
func Shrink(p Plan, breaks func(Plan) bool, budget int) Plan {
	try := func(q Plan) bool {
		if budget == 0 {
			return false
		}
		budget--
		if !breaks(q) {
			return false
		}
		p = q
		return true
	}
	for n := len(p.Ops) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(p.Ops); {
			q := p
			q.Ops = slices.Delete(slices.Clone(p.Ops), i, i+n)
			if !try(q) {
				i += n
			}
		}
	}
	for _, rate := range []func(*Rates) *int{
		func(r *Rates) *int { return &r.Crash },
		func(r *Rates) *int { return &r.Store },
		func(r *Rates) *int { return &r.Late },
		func(r *Rates) *int { return &r.Twice },
		func(r *Rates) *int { return &r.LoseAnswer },
		func(r *Rates) *int { return &r.Drop },
	} {
		q := p
		*rate(&q.Rates) = 0
		try(q)
	}
	if p.Nodes > 1 {
		q := p
		q.Nodes = 1
		try(q)
	}
	if p.Disks > 0 {
		q := p
		q.Disks = 0
		try(q)
	}
	for i := range p.Devices {
		q := p
		q.Devices = slices.Clone(p.Devices)
		q.Devices[i] = 1
		try(q)
	}
	return p
}
