package histogram

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestBuckets: every duration lies in the bucket that says so, buckets follow
// each other without a gap, and none is wider than a hundredth of what it counts.
func TestBuckets(t *testing.T) {
	next := time.Duration(0)
	for i := range buckets {
		last := upper(i)
		if bucket(next) != i || bucket(last) != i {
			t.Fatalf("bucket %d: %d is in %d, %d in %d", i, next, bucket(next), last, bucket(last))
		}
		if width := last - next; float64(width) > float64(last)/100 {
			t.Fatalf("bucket %d from %d is %d wide", i, next, width)
		}
		if last == math.MaxInt64 {
			if i != buckets-1 {
				t.Fatalf("%d buckets are never used", buckets-1-i)
			}
			return
		}
		next = last + 1
	}
	t.Fatalf("no bucket for %d", next)
}

func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(math.Exp(random.Float64() * 25))
		all = append(all, d)
		h.Record(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := all[int(math.Round(q*float64(len(all))))-1]
		if got := h.Quantile(q); math.Abs(float64(got-exact)) > float64(exact)/100 {
			t.Errorf("%v: %v, exactly %v", q, got, exact)
		}
	}
	if h.Max() != all[len(all)-1] || h.Quantile(1) != h.Max() || h.Count() != uint64(len(all)) {
		t.Errorf("max %v, count %d", h.Max(), h.Count())
	}
}

func TestFew(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 || h.Count() != 0 {
		t.Error("an empty histogram is not all zero")
	}
	h.Record(time.Millisecond)
	for _, q := range []float64{0, 0.5, 1} {
		if h.Quantile(q) != time.Millisecond {
			t.Errorf("the only duration is not the quantile %v", q)
		}
	}
	h.Record(-1)
	if h.Count() != 2 || h.Quantile(0.5) != 0 || h.Max() != time.Millisecond {
		t.Errorf("a negative duration does not count as 0: %v of %d", h.Quantile(0.5), h.Count())
	}
	var lone Histogram
	for d := range time.Duration(100) {
		lone.Record(d + 1)
	}
	if lone.Quantile(0.5) != 50 || lone.Quantile(0.99) != 99 {
		t.Errorf("of 1 to 100: %d and %d", lone.Quantile(0.5), lone.Quantile(0.99))
	}
}

func TestManyGoroutines(t *testing.T) {
	var h Histogram
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				h.Record(time.Second)
			}
		})
	}
	all.Wait()
	if h.Count() != 8000 {
		t.Errorf("%d of 8000 were counted", h.Count())
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	for i := range b.N {
		h.Record(time.Duration(i))
	}
}

// TestBucketsTellAll: what was recorded is in the buckets, in order, and each once.
func TestBucketsTellAll(t *testing.T) {
	var h Histogram
	if h.Buckets() != nil {
		t.Error("an empty histogram has buckets")
	}
	for _, d := range []time.Duration{5 * time.Second, 3, 3, time.Millisecond} {
		h.Record(d)
	}
	got := h.Buckets()
	if len(got) != 3 || got[0] != (Bucket{3, 2}) || got[1].Count != 1 || got[1].UpTo < time.Millisecond || got[1].UpTo > time.Millisecond*101/100 ||
		got[2] != (Bucket{5 * time.Second, 1}) {
		t.Errorf("%v", got)
	}
}
