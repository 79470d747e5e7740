package client

import (
	"math"
	"math/bits"
	"time"

	"github.com/reseal/reseal/client/internal/state"
)

const (
	// timesStep is how many buckets a power of two has, as a power of two.
	timesStep = 3
	// timesBuckets reach to 2^32 ms, 49 days: longer than any message waits.
	timesBuckets = (32 - timesStep + 1) << timesStep
	maxTimesMs   = math.MaxUint32
)

// Times counts durations in buckets of whole milliseconds, each an eighth of a
// power of two wide, so that years of them take the same 2 KB. The zero value
// is empty. It is a value: a copy does not change with the original. It may be
// read by many goroutines, and changed by one.
type Times struct {
	counts [timesBuckets]uint64
	max    time.Duration
}

// Add counts a duration, to the millisecond. A negative one, which a clock that
// was set back makes, counts as 0, one above 49 days as 49 days.
func (t *Times) Add(d time.Duration) {
	ms := min(max(d.Milliseconds(), 0), maxTimesMs)
	t.counts[timesBucket(uint64(ms))]++
	t.max = max(t.max, time.Duration(ms)*time.Millisecond)
}

// Merge adds what o has counted.
func (t *Times) Merge(o Times) {
	for i, n := range o.counts {
		t.counts[i] += n
	}
	t.max = max(t.max, o.max)
}

// Count is how many durations were counted.
func (t *Times) Count() (n uint64) {
	for _, c := range t.counts {
		n += c
	}
	return n
}

// Max is the longest duration, to the millisecond; 0 for none.
func (t *Times) Max() time.Duration { return t.max }

// Quantile is the shortest duration that a share q of all do not exceed, 0 < q
// ≤ 1: Quantile(0.5) is the median. It is never too short, and at most an eighth
// too long; 0 where nothing was counted.
func (t *Times) Quantile(q float64) time.Duration {
	rank, seen := uint64(math.Ceil(q*float64(t.Count()))), uint64(0)
	for i, c := range t.counts {
		if seen += c; c > 0 && seen >= rank {
			return min(timesUpper(i), t.max)
		}
	}
	return t.max
}

// timesBucket is where a number of milliseconds is counted.
func timesBucket(ms uint64) int {
	if ms < 1<<timesStep {
		return int(ms)
	}
	shift := bits.Len64(ms) - 1 - timesStep
	return (shift+1)<<timesStep + int(ms>>shift) - 1<<timesStep
}

// timesUpper is the longest duration that a bucket counts.
func timesUpper(i int) time.Duration {
	if i < 1<<timesStep {
		return time.Duration(i) * time.Millisecond
	}
	shift := i>>timesStep - 1
	return time.Duration(uint64(i&(1<<timesStep-1)+1<<timesStep+1)<<shift-1) * time.Millisecond
}

func (t *Times) record() *state.Times {
	r := &state.Times{Counts: map[uint32]uint64{}, MaxMs: uint64(t.max.Milliseconds())}
	for i, n := range t.counts {
		if n > 0 {
			r.Counts[uint32(i)] = n
		}
	}
	return r
}

func timesOf(r *state.Times) (t Times) {
	for i, n := range r.GetCounts() {
		if i < timesBuckets {
			t.counts[i] = n
		}
	}
	t.max = time.Duration(min(r.GetMaxMs(), maxTimesMs)) * time.Millisecond
	return t
}
