package sim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"testing/cryptotest"

	"github.com/reseal/reseal/internal/world"
)

var (
	oneSeed = flag.Uint64("sim.seed", 0, "play the life of one seed; 0: many")
	seeds   = flag.Int("sim.seeds", 500, "how many lives to play")
	first   = flag.Uint64("sim.first", 1, "the first seed")
	traceTo = flag.String("sim.trace", "", "the file that the trace of one seed goes to")
	hashes  = flag.Bool("sim.hashes", false, "print the hash of each life's trace")
)

// play plays a plan, and writes its trace. The error says what broke.
func play(t *testing.T, p Plan, out io.Writer) (err error) {
	cryptotest.SetGlobalRandom(t, p.Seed)
	l := &life{plan: p, rng: rand.New(rand.NewPCG(p.Seed, 2)), note: func(f string, args ...any) { fmt.Fprintf(out, f+"\n", args...) }}
	world.Run(t, p.Seed, func(w *world.World) {
		l.w, w.T = w, recorder{t}
		defer func() {
			w.T = t
			switch x := recover().(type) {
			case nil:
			case broken:
				err = x
			default:
				panic(x)
			}
		}()
		l.play()
	})
	return err
}

// report shrinks a life that broke, and shows it with the command that plays it.
func report(t *testing.T, p Plan, err error, out io.Writer) {
	same := func(q Plan) bool {
		var was, is broken
		return errors.As(err, &was) && errors.As(play(t, q, io.Discard), &is) && is.kind == was.kind
	}
	least := Shrink(p, same, 600)
	fmt.Fprintln(out, "\nThe least that breaks:")
	var trace bytes.Buffer
	short := play(t, least, io.MultiWriter(out, &trace))
	const most = 64 << 10 // the end of a trace is what tells
	shown := trace.Bytes()[max(0, trace.Len()-most):]
	t.Errorf("%v\nagain: go test ./internal/sim -run TestLives -sim.seed %d -sim.trace FILE\nthe least that breaks: %v\n%v\n%s",
		err, p.Seed, short, least, shown)
}

// TestLives plays many lives.
func TestLives(t *testing.T) {
	from, n, out := *first, uint64(*seeds), io.Discard
	if *oneSeed != 0 {
		from, n = *oneSeed, 1
	}
	if *traceTo != "" {
		f, err := os.Create(*traceTo)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out = f
	}
	broke := 0
	for seed := from; seed < from+n; seed++ {
		p, sum := Draw(seed), sha256.New()
		err := play(t, p, io.MultiWriter(out, sum))
		if *hashes {
			fmt.Printf("trace of seed %d: %x\n", seed, sum.Sum(nil))
		}
		if err != nil {
			report(t, p, err, out)
			if broke++; broke == 5 {
				t.Fatal("and so on")
			}
		}
	}
}

// TestRegressions plays the lives that once found a fault.
func TestRegressions(t *testing.T) {
	for seed, what := range regressions {
		for _, p := range []Plan{Sprout(seed), Sprout(seed).Plain()} {
			if err := play(t, p, io.Discard); err != nil {
				t.Errorf("seed %d (%s), %d nodes: %v", seed, what, p.Nodes, err)
			}
		}
	}
	for what, p := range leastLives {
		if err := play(t, p, io.Discard); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSameSeed: the same seed draws the same life, another one another.
func TestSameSeed(t *testing.T) {
	for seed := uint64(1); seed <= 50; seed++ {
		if a, b, c := Draw(seed), Draw(seed), Draw(seed+1); a.String() != b.String() || slices.Equal(a.Ops, c.Ops) {
			t.Errorf("seed %d: %v, then %v, and the next seed %v", seed, a, b, c)
		}
	}
}

// TestShrink: what is left is what breaks.
func TestShrink(t *testing.T) {
	p := Draw(3)
	var want []Op
	for _, o := range p.Ops {
		if o.Act == Cut || o.Act == Plug {
			want = append(want, o)
		}
	}
	if len(want) < 2 {
		t.Fatal("the plan has too few to look for")
	}
	got := Shrink(p, func(q Plan) bool {
		n := 0
		for _, o := range q.Ops {
			if o == want[0] || o == want[1] {
				n++
			}
		}
		return n == 2
	}, 1000)
	if !slices.Equal(got.Ops, want[:2]) || got.Rates != (Rates{}) {
		t.Errorf("%v", got)
	}
}

// TestFindsAFault: a life in which a device forgets what it was sent is seen.
func TestFindsAFault(t *testing.T) {
	seen := false
	for seed := uint64(1); seed <= 40 && !seen; seed++ {
		p := Draw(seed)
		p.forgets = true
		err := play(t, p, io.Discard)
		seen = err != nil
	}
	if !seen {
		t.Error("lost messages were not noticed")
	}
}

// A life makes and drops its world in a few hundredths of a second: collected less
// often, it takes a fifth less of them.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
