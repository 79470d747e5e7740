package quota

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

var ctx = context.Background()

// shelf is what a tally bounds.
type shelf struct {
	mu     sync.Mutex
	sizes  []int64
	counts int
}

func (s *shelf) count(context.Context) (Count, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts++
	c := Count{Items: int64(len(s.sizes))}
	for _, n := range s.sizes {
		c.Bytes += n
	}
	return c, nil
}

func (s *shelf) put(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes = append(s.sizes, n)
}

// Whatever comes and goes in whatever order, and however many at a time, there
// is never more than the quota; and who is refused was refused with reason.
func TestNeverMoreThanTheQuota(t *testing.T) {
	const items, bytes = 20, 1000
	now := time.Unix(0, 0)
	tally, s, rng := NewTally("blobs", items, "blob-bytes", bytes, func() time.Time { return now }), new(shelf), rand.New(rand.NewPCG(1, 2))
	var flying []func()
	var landing []int64
	refused := 0
	for range 20_000 {
		switch rng.IntN(5) {
		case 0, 1:
			n := rng.Int64N(120)
			done, err := tally.Take(ctx, "a", n, s.count)
			if err == nil {
				flying, landing = append(flying, done), append(landing, n)
				break
			}
			refused++
			c, _ := s.count(ctx)
			for _, n := range landing {
				c.Items, c.Bytes = c.Items+1, c.Bytes+n
			}
			if d := refusal.Detail(err); d.GetReason() != resealv1.Reason_REASON_LIMIT || d.RetryAfterMs == 0 || !strings.Contains(d.Limit, "kept at the server") {
				t.Fatal(err)
			}
			if now = now.Add(recount); c.Items < items && c.Bytes+n <= bytes {
				done, err := tally.Take(ctx, "a", n, s.count)
				if err != nil {
					t.Fatalf("%+v are there, and %d bytes are refused: %v", c, n, err)
				}
				flying, landing = append(flying, done), append(landing, n)
			}
		case 2, 3:
			if len(flying) > 0 {
				i := rng.IntN(len(flying))
				s.put(landing[i])
				flying[i]()
				flying, landing = slices.Delete(flying, i, i+1), slices.Delete(landing, i, i+1)
			}
		default:
			if len(s.sizes) > 0 && rng.IntN(2) == 0 {
				i := rng.IntN(len(s.sizes))
				s.sizes = slices.Delete(s.sizes, i, i+1)
			}
		}
		if c, _ := s.count(ctx); c.Items > items || c.Bytes > bytes {
			t.Fatalf("%+v", c)
		}
	}
	if refused < 100 {
		t.Fatalf("only %d were refused", refused)
	}
}

// Room that was counted is used up without counting again.
func TestCountsAreFew(t *testing.T) {
	now := time.Unix(0, 0)
	tally, s := NewTally("pending", 1000, "pending-bytes", 0, func() time.Time { return now }), new(shelf)
	for range 1000 {
		done, err := tally.Take(ctx, "a", 1, s.count)
		if err != nil {
			t.Fatal(err)
		}
		s.put(1)
		done()
	}
	if s.counts != 1 {
		t.Errorf("counted %d times", s.counts)
	}
	for range 50 { // full: it is not counted for each
		if _, err := tally.Take(ctx, "a", 1, s.count); refusal.Reason(err) != resealv1.Reason_REASON_LIMIT {
			t.Fatal(err)
		}
	}
	if s.counts != 2 {
		t.Errorf("counted %d times", s.counts)
	}
	if _, err := tally.Take(ctx, "b", 1, func(context.Context) (Count, error) { return Count{}, errors.New("no store") }); err == nil {
		t.Error("let in uncounted")
	}
	var none *Tally
	if _, err := none.Take(ctx, "a", 1, nil); err != nil {
		t.Error(err)
	}
}

// Somebody whose mailbox is full, and who takes one out for each that comes, does
// not have it counted for each: a count costs in time what it read.
func TestCountsOfMuchAreFew(t *testing.T) {
	const there = 20_000
	now := time.Unix(0, 0)
	tally, s := NewTally("pending", there, "", 0, func() time.Time { return now }), new(shelf)
	s.sizes = make([]int64, there)
	took := 0
	for range 1000 { // a tenth of a second each
		s.sizes = s.sizes[:len(s.sizes)-1]
		if done, err := tally.Take(ctx, "a", 1, s.count); err == nil {
			s.put(1)
			done()
			took++
		} else if d := refusal.Detail(err); d.GetReason() != resealv1.Reason_REASON_LIMIT || d.RetryAfterMs == 0 {
			t.Fatal(err)
		}
		now = now.Add(100 * time.Millisecond)
	}
	if most := int(100 * time.Second / (there * perItem)); s.counts > most+1 {
		t.Errorf("counted %d times in 100 s, want %d at most", s.counts, most)
	}
	if took < 900 {
		t.Errorf("%d of 1000 were taken, and there was room for each", took)
	}
	// A clock that is put back keeps nobody out for longer than that.
	s.sizes = nil
	now = now.Add(-1000 * time.Hour)
	for range 2 {
		if _, err := tally.Take(ctx, "a", 1, s.count); err == nil {
			return
		}
		now = now.Add(recount)
	}
	t.Error("refused with an empty shelf")
}

func FuzzSet(f *testing.F) {
	for _, seed := range []string{"pending=7", "book=64K", "blobs=off", "sent=1G", "x=1", "pending=-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := Default()
		if l.Set(text) != nil {
			return
		}
		// What it became reads as the same.
		again := Limits{}
		for _, part := range strings.Fields(l.String()) {
			if err := again.Set(part); err != nil {
				t.Fatal(err)
			}
		}
		if again != l {
			t.Errorf("%q: %v, then %v", text, l, again)
		}
	})
}

func TestSet(t *testing.T) {
	l := Default()
	for _, text := range []string{"pending=7", "pending-bytes=3M", "blobs=off", "book=64K"} {
		if err := l.Set(text); err != nil {
			t.Error(err)
		}
	}
	if l.Pending != 7 || l.PendingBytes != 3<<20 || l.Blobs != 0 || l.Book != 64<<10 {
		t.Errorf("%v", l)
	}
	if want := "pending=7 pending-bytes=3145728 sent=50000 blobs=off"; !strings.HasPrefix(l.String(), want) {
		t.Errorf("%v", l)
	}
	// What the protocol allows has an end that an operator cannot move, and it is
	// told as what it is.
	for _, text := range []string{"blocked=1001", "book=2M", "book=1310721"} {
		if err := l.Set(text); err == nil || !strings.Contains(err.Error(), "the protocol allows") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := errors.Join(l.Set("blocked=off"), l.Set("book=off")); err != nil || l.Blocked != MaxBlocked || l.Book != MaxBook {
		t.Errorf("%v, %v", err, l)
	}
	for _, text := range []string{"", "pending", "pending=", "pending=0", "pending=-1", "nothing=1", "pending=1T", "pending=9999999999999999999", "pending=2000000000000G"} {
		if err := l.Set(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// No tally bounds nothing, for those who may use a half of it neither.
func TestNoTally(t *testing.T) {
	var none *Tally
	s := new(shelf)
	for _, take := range []func(context.Context, string, int64, func(context.Context) (Count, error)) (func(), error){
		none.Take, none.TakeOfHalf, NewTally("blobs", 0, "blob-bytes", 0, time.Now).TakeOfHalf,
	} {
		done, err := take(ctx, "a", 1<<40, s.count)
		if err != nil || s.counts != 0 {
			t.Fatalf("%v, %d counts", err, s.counts)
		}
		done()
	}
}
