package auth_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/handle"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store/pebble"
)

// tries is for a soak on a quiet machine: 20000 interleaved logins of handles that
// are there and that are not, which Welch's t-test must not tell apart. Without it
// the test makes a few, and judges no time.
var tries = flag.Int("handles.tries", 0, "how many logins are timed to tell handles apart")

// maxT is what TVLA takes for no difference (Goodwill et al. 2011).
const maxT = 4.5

// welch is the t statistic of two samples.
func welch(a, b []float64) float64 {
	mean := func(x []float64) (m, v float64) {
		for _, y := range x {
			m += y / float64(len(x))
		}
		for _, y := range x {
			v += (y - m) * (y - m) / float64(len(x)-1)
		}
		return m, v
	}
	ma, va := mean(a)
	mb, vb := mean(b)
	return (ma - mb) / math.Sqrt(va/float64(len(a))+vb/float64(len(b)))
}

// crop drops what is above the given quantile of both together: a collection, or
// another process's turn, says nothing about handles.
func crop(a, b []float64, q float64) (x, y []float64) {
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	limit := all[int(q*float64(len(all)-1))]
	below := func(s []float64) []float64 {
		return slices.DeleteFunc(slices.Clone(s), func(v float64) bool { return v > limit })
	}
	return below(a), below(b)
}

func TestHandlesCannotBeTimed(t *testing.T) {
	st, err := pebble.Open(filepath.Join(t.TempDir(), "store"), server.Schema(), pebble.Options{MinFree: 1, Clock: func() time.Time { return tw.Begin }})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	w := tw.New(t, func(c *server.Config) { c.Store, c.Limits = st, &limits.Config{MaxEntries: 1} })
	const handles = 8
	var names [2][]string
	for i := range handles {
		names[0] = append(names[0], fmt.Sprintf("here%d", i))
		names[1] = append(names[1], fmt.Sprintf("gone%d", i))
		w.SignUp(names[0][i], password)
	}
	c := w.Client("")
	ke1 := map[string][]byte{}
	for _, n := range slices.Concat(names[0], names[1]) {
		_, m, err := opaque.StartLogin(handle.Handle(n), []byte("a wrong password"))
		if err != nil {
			t.Fatal(err)
		}
		ke1[n] = m
	}
	n := max(*tries, 400)
	var took [2][]float64
	sizes := map[int]int{}
	for i := range n + 200 {
		kind := rand.IntN(2)
		name := names[kind][rand.IntN(handles)]
		began := time.Now()
		resp, err := c.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: name, Ke1: ke1[name]})
		d := time.Since(began)
		if err != nil {
			t.Fatal(err)
		}
		sizes[len(resp.Ke2)<<16+len(resp.State)]++
		if i >= 200 { // warm
			took[kind] = append(took[kind], float64(d.Nanoseconds()))
		}
	}
	if len(sizes) != 1 {
		t.Errorf("answers of %d sizes", len(sizes))
	}
	for _, q := range []float64{1, 0.99, 0.95, 0.9, 0.75} {
		a, b := crop(took[0], took[1], q)
		s := welch(a, b)
		t.Logf("%.0f %% of %d: t = %.2f", 100*q, n, s)
		if *tries > 0 && math.Abs(s) >= maxT {
			t.Errorf("handles can be told apart by time: |t| = %.2f", math.Abs(s))
		}
	}
	if *tries == 0 {
		return
	}
	// The test finds a difference where there is one, of a twentieth.
	slow := slices.Clone(took[0])
	for i := range slow {
		slow[i] += slow[i] / 20
	}
	if a, b := crop(slow, took[1], 0.9); math.Abs(welch(a, b)) < maxT {
		t.Error("the statistic finds no difference of a twentieth")
	}
}
