package pebble_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
	"github.com/reseal/reseal/store/pebble"
	"github.com/reseal/reseal/store/storetest"
)

// What is kept in memory answers as a store that keeps nothing apart, in every
// order of reads and writes, and nobody who changes what he gave or got changes
// what others get.
func TestCachesAnswerAsTheStore(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r, clock := rand.New(rand.NewPCG(seed, 7)), storetest.NewClock()
			s := mustOpen(t, pebble.Options{FS: vfs.NewMem(), Clock: clock.Now, SweepEvery: -1, Rows: []int64{0, 32 << 10}[seed%2]})
			defer s.Close()
			model, err := memory.New(storetest.Schema(), memory.Options{Clock: clock.Now})
			if err != nil {
				t.Fatal(err)
			}
			value := func() []byte { return bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(300)) }
			for range 3000 {
				p := store.Partition(fmt.Sprint("p", r.IntN(4)))
				k := store.Key(fmt.Sprint("o/", r.IntN(12)))
				switch r.IntN(8) {
				case 0, 1:
					clock.Move(1500 * time.Millisecond)
					v, expires := value(), int64(0)
					if r.IntN(2) == 0 {
						expires = clock.Now().UnixMilli() + int64(r.IntN(20_000))
					}
					var errs [2]error
					for i, st := range []store.Store{s, model} {
						mine := bytes.Clone(v)
						errs[i] = st.Commit(t.Context(), p, new(store.Batch).PutOnce(k, mine, expires))
						for j := range mine {
							mine[j] ^= 0xff
						}
					}
					if (errs[0] == nil) != (errs[1] == nil) {
						t.Fatalf("put: %v, the model: %v", errs[0], errs[1])
					}
				case 2:
					for _, st := range []store.Store{s, model} {
						if err := st.Commit(t.Context(), p, new(store.Batch).DeleteOnce(k)); err != nil {
							t.Fatal(err)
						}
					}
				case 3:
					if _, err := s.Sweep(t.Context()); err != nil {
						t.Fatal(err)
					}
				case 4, 5:
					got, err := s.Get(t.Context(), p, k)
					want, wantErr := model.Get(t.Context(), p, k)
					if !errors.Is(err, wantErr) || !bytes.Equal(got.Value, want.Value) || got.Expires != want.Expires {
						t.Fatalf("%s %s: %v %v, the model: %v %v", p, k, got, err, want, wantErr)
					}
					clear(got.Value)
				default:
					limit, keysOnly := 1+r.IntN(20), r.IntN(2) == 0
					got, err := s.Range(t.Context(), p, "o/", "o0", limit, keysOnly)
					want, wantErr := model.Range(t.Context(), p, "o/", "o0", limit, keysOnly)
					if err != nil || wantErr != nil || !slices.EqualFunc(got, want, func(a, b store.Record) bool {
						return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && a.Expires == b.Expires
					}) {
						t.Fatalf("range of %s: %v %v, the model: %v %v", p, got, err, want, wantErr)
					}
					for _, rec := range got {
						clear(rec.Value)
					}
				}
			}
		})
	}
}

// A read that begins after a commit was answered sees it, while others read the
// same and fill what is kept.
func TestCachesNeverLagBehind(t *testing.T) {
	s := mustOpen(t, pebble.Options{FS: vfs.NewMem(), SweepEvery: -1, Rows: 64 << 10})
	defer s.Close()
	const key = store.Key("d/x")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	defer readers.Wait()
	defer close(stop)
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, _ = s.Get(t.Context(), "p", key)
				_, _ = s.Range(t.Context(), "p", "d/", "d0", 10, false)
			}
		})
	}
	for rev := range uint64(2000) {
		b := new(store.Batch)
		if rev == 0 {
			b.Create(key, []byte(fmt.Sprint(rev)), store.Token{1}, 0)
		} else {
			b.Replace(key, rev, []byte(fmt.Sprint(rev)), store.Token{1}, 0)
		}
		if err := s.Commit(t.Context(), "p", b); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(t.Context(), "p", key)
		if err != nil || string(got.Value) != fmt.Sprint(rev) {
			t.Fatalf("after commit %d: %q %v", rev, got.Value, err)
		}
		in, err := s.Range(t.Context(), "p", "d/", "d0", 10, false)
		if err != nil || len(in) != 1 || string(in[0].Value) != fmt.Sprint(rev) {
			t.Fatalf("after commit %d: %v %v", rev, in, err)
		}
	}
}
