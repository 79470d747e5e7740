package client_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/reseal/reseal/client"
)

// A quantile is never below the exact one, and at most an eighth above it.
func TestTimesQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 10, 999} {
		var times client.Times
		var all []time.Duration
		for range n {
			d := time.Duration(1<<rng.IntN(31)+rng.IntN(1000)) * time.Millisecond
			times.Add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, q := range []float64{0.01, 0.5, 0.8, 0.99, 1} {
			// The least one that at least n·q of them do not exceed.
			rank := 0
			for float64(rank+1) < q*float64(n) {
				rank++
			}
			exact := all[rank]
			if got := times.Quantile(q); got < exact || got > exact+exact/8 {
				t.Errorf("%d times: p%v is %v, exactly %v", n, 100*q, got, exact)
			}
		}
		if times.Max() != all[n-1] || times.Count() != uint64(n) {
			t.Errorf("%d times: max %v, not %v, of %d", n, times.Max(), all[n-1], times.Count())
		}
	}
}

func TestTimesAtTheirLimits(t *testing.T) {
	var times client.Times
	if times.Count() != 0 || times.Quantile(0.5) != 0 || times.Max() != 0 {
		t.Error("an empty one has times")
	}
	times.Add(-time.Hour)
	if times.Count() != 1 || times.Quantile(1) != 0 {
		t.Error("a time below zero is not 0")
	}
	times.Add(1<<62 - 1)
	if got := times.Quantile(1); got != times.Max() || got < 49*24*time.Hour || got > 50*24*time.Hour {
		t.Errorf("the longest is %v", got)
	}
	var sum client.Times
	sum.Add(5 * time.Millisecond)
	sum.Merge(times)
	if sum.Count() != 3 || sum.Max() != times.Max() || sum.Quantile(0.5) != 5*time.Millisecond {
		t.Errorf("together: %d, p50 %v, max %v", sum.Count(), sum.Quantile(0.5), sum.Max())
	}
	if times.Count() != 2 {
		t.Error("what was added has changed")
	}
}
