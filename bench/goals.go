package main

import "fmt"

// goal is what a value is to be: at most, or at least, a number or a multiple of
// the floor's.
type goal struct {
	value string // of ours
	p99   bool   // of its 99th percentile
	times bool   // limit is a multiple of another value: the floor's, if not given
	other string
	least bool // at least the limit, else at most
	limit float64
}

var goals = []goal{
	{value: "flood.server_cpu", times: true, limit: 3},
	{value: "flood.delivered", times: true, least: true, limit: 1.0 / 3},
	{value: "rate.latency", times: true, limit: 1.3},
	{value: "rate.latency", p99: true, times: true, limit: 1.3},
	{value: "rate.server_cpu", times: true, limit: 2},
	{value: "idle-tls.memory", times: true, limit: 1.05},
	{value: "login.server_cpu", limit: 0.5},
	{value: "drain.delivered", least: true, limit: 15000},
	{value: "drain.taken_in_cpu", limit: 0.05},
	{value: "drain.server_cpu", limit: 0.05},
	{value: "new-device.readable", limit: 10},
	{value: "blob.put_cpu", times: true, limit: 1.15},
	{value: "blob.get_cpu", times: true, limit: 1.15},
	{value: "content.seal", times: true, other: "content.aes_gcm", least: true, limit: 0.65},
	{value: "content.open", times: true, other: "content.aes_gcm", least: true, limit: 0.65},
	{value: "wrap.wrap", limit: 180},
	{value: "wrap.open", limit: 120},
	{value: "wrap.eight", times: true, other: "wrap.wrap", limit: 5},
	{value: "start.inbox", limit: 60},
}

// judged is a goal beside what was measured.
type judged struct {
	goal
	name        string
	ours, other float64
	unit        string
	reached     bool
	// bound is the goal in the unit of ours.
	bound float64
}

// words say whether the goal is met, and by how much ours is on this side of it or
// on that.
func (j judged) words() string {
	apart := fmt.Sprintf("%.0f %%", 100*max(j.ours-j.bound, j.bound-j.ours)/j.bound)
	if j.reached {
		return "met, " + apart + " to spare"
	}
	return "**missed** by " + apart
}

// judge compares a goal with the medians; ok is false where one was not measured.
func (g goal) judge(r results) (j judged, ok bool) {
	pick := func(name string) (float64, string, bool) {
		s, ok := r.of(name)
		if g.p99 {
			return s.p99, s.unit, ok
		}
		return s.median, s.unit, ok
	}
	j = judged{goal: g, name: g.value}
	if g.p99 {
		j.name += ", p99"
	}
	if j.ours, j.unit, ok = pick(g.value); !ok {
		return j, false
	}
	bound := g.limit
	if g.times {
		if g.other == "" {
			j.goal.other = "floor-" + g.value
		}
		if j.other, _, ok = pick(j.goal.other); !ok || j.other == 0 {
			return j, false
		}
		bound *= j.other
	}
	j.bound, j.reached = bound, j.ours <= bound
	if g.least {
		j.reached = j.ours >= bound
	}
	return j, true
}

func (g goal) String() string {
	words := "at most "
	if g.least {
		words = "at least "
	}
	if g.times {
		return fmt.Sprintf("%s%.3g x %s", words, g.limit, g.other)
	}
	return fmt.Sprintf("%s%.5g", words, g.limit)
}
