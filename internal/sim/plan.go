package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Act is one thing that somebody, or bad luck, does.
type Act uint8

// The acts. What does not apply when its turn comes does nothing.
const (
	Send Act = iota
	View
	Unsend
	Join
	Remove
	Logout
	Login
	Lose
	Restore
	Kill
	Cut
	Plug
	Pass
	Skew
	Accept
	Block
	Unblock
	Late
	Work
	acts
)

var actNames = [everyAct]string{
	"send", "view", "unsend", "join", "remove", "logout", "login", "lose", "restore", "kill", "cut", "plug", "pass", "skew",
	"accept", "block", "unblock", "late", "work", "part", "mend", "die", "gap", "dark",
	"far", "drift", "rot", "rotate",
}

// weights say how often each act is drawn; each plan scales some of them.
var weights = [acts]int{
	Send: 30, View: 24, Unsend: 3, Join: 5, Remove: 2, Logout: 4, Login: 7, Lose: 1, Restore: 1, Kill: 5, Cut: 5, Plug: 10,
	Pass: 16, Skew: 1, Accept: 4, Block: 1, Unblock: 2, Late: 4, Work: 40,
}

// Op is an act with what it needs to choose. The numbers are taken modulo what
// there is to choose from, so that any part of a plan can be played.
type Op struct {
	Act     Act
	A, B, N uint32
}

// String is one line of a trace.
func (o Op) String() string { return fmt.Sprintf("%s %d %d %d", actNames[o.Act], o.A, o.B, o.N) }

// Rates are the faults of one life, each a chance in a thousand.
type Rates struct {
	Drop, LoseAnswer, Twice, Late int // of a call
	Crash                         int // of a step of a device, before or after it is durable
	Store                         int // of a commit of the server
}

// Plan is one life: data, and so can be shortened.
type Plan struct {
	Seed     uint64
	Accounts int
	Devices  []int // that each account begins with
	Nodes    int   // of the server
	Disks    int   // how many in a thousand commits fail on a real vault; 0: there are none
	Rates    Rates
	Quota    int64 // messages that the server keeps waiting for an account, and of those that it sent
	Ops      []Op

	forgets bool // a planted fault: devices lose some of what they are sent
}

// Sprout makes the plan that a seed had before worlds were bigger: what older
// regressions are about.
func Sprout(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 0x5eed))
	p := Plan{Seed: seed, Accounts: 2 + r.IntN(3)}
	for range p.Accounts {
		p.Devices = append(p.Devices, 1+r.IntN(3))
	}
	rate := func(most int) int { // often none, so that lives differ in kind
		if r.IntN(3) == 0 {
			return 0
		}
		return r.IntN(most)
	}
	p.Rates = Rates{
		Drop: rate(80), LoseAnswer: rate(80), Twice: rate(60), Late: rate(40), Crash: rate(25), Store: rate(30),
	}
	// Most have room for all; from its own source, so that lives stay the same.
	if q := rand.New(rand.NewPCG(seed, 0xc0de)); q.IntN(4) == 0 {
		p.Quota = 2 + q.Int64N(6)
	} else {
		p.Quota = 1000
	}
	w, total := weights, 0
	for i := range w {
		switch r.IntN(6) {
		case 0:
			w[i] *= 3
		case 1:
			w[i] = (w[i] + 2) / 3
		}
		total += w[i]
	}
	for range 30 + r.IntN(50) {
		n, act := r.IntN(total), Act(0)
		for n >= w[act] {
			n -= w[act]
			act++
		}
		p.Ops = append(p.Ops, Op{act, r.Uint32(), r.Uint32(), r.Uint32()})
	}
	p.nodes()
	return p
}

// String is the plan for people.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, devices %v, nodes %d, disks %d, rates %+v, quota %d\n", p.Seed, p.Devices, p.Nodes, p.Disks, p.Rates, p.Quota)
	for i, o := range p.Ops {
		fmt.Fprintf(&b, "%3d %v\n", i, o)
	}
	return b.String()
}

// passes are the times that pass in one go.
var passes = []time.Duration{
	time.Second, 20 * time.Second, 3 * time.Minute, time.Hour, 7 * time.Hour, 26 * time.Hour, 3 * 24 * time.Hour, 8 * 24 * time.Hour,
}

// lives are how long messages may live.
var lives = []time.Duration{10 * time.Minute, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 30 * 24 * time.Hour}

// skews are how far a clock may be off.
var skews = []time.Duration{0, 0, 30 * time.Second, -30 * time.Second, 50 * time.Minute, -10 * time.Hour}
