// Package histogram counts durations in buckets whose width grows with the
// duration, so that a figure of any length takes the same small memory and its
// percentiles are right to 1 %.
//
// A bucket is 1/128 of a power of two wide; below 128 ns every nanosecond has
// its own. It is the layout of HdrHistogram with two significant digits.
package histogram

import (
	"math/bits"
	"sync"
	"time"
)

const (
	// step is how many buckets a power of two has, as a power of two.
	step = 7
	// buckets reach up to the longest duration that there is.
	buckets = (64 - step) << step
)

// Histogram counts durations. The zero value is empty and ready. It may be used
// by many goroutines at once.
type Histogram struct {
	mu     sync.Mutex
	counts []uint64 // by bucket; made at the first record
	n      uint64
	max    time.Duration
}

// Record counts one duration; a negative one counts as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = make([]uint64, buckets)
	}
	h.counts[bucket(d)]++
	h.n++
	h.max = max(h.max, d)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// Max is the longest duration, exact; 0 for none.
func (h *Histogram) Max() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.max
}

// Quantile is the least duration that a share q of all are not above, right to
// 1 %: Quantile(0.5) is the median. 0 where nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	rank := uint64(q*float64(h.n) + 0.5)
	rank = min(max(rank, 1), h.n)
	seen := uint64(0)
	for i, c := range h.counts {
		if seen += c; c > 0 && seen >= rank {
			return min(upper(i), h.max)
		}
	}
	return 0
}

// Bucket is how many durations were at most UpTo, and longer than the UpTo of the
// bucket before.
type Bucket struct {
	UpTo  time.Duration
	Count uint64
}

// Buckets are those in which something was counted, the shortest first.
func (h *Histogram) Buckets() (all []Bucket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, n := range h.counts {
		if n > 0 {
			all = append(all, Bucket{min(upper(i), h.max), n})
		}
	}
	return all
}

// bucket is where a duration is counted.
func bucket(d time.Duration) int {
	v := uint64(d)
	if v < 1<<step {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - step
	return (shift+1)<<step + int(v>>shift) - 1<<step
}

// upper is the longest duration that a bucket counts.
func upper(i int) time.Duration {
	if i < 1<<step {
		return time.Duration(i)
	}
	shift := i>>step - 1
	return time.Duration((uint64(i&(1<<step-1)+1<<step+1) << shift) - 1)
}
