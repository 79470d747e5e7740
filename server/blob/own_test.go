package blob_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/store"
)

// rows are the present records of a partition whose keys begin so, by the rest.
func (w *world) rows(p store.Partition, prefix string) map[string][]byte {
	w.t.Helper()
	all := map[string][]byte{}
	for rec, err := range store.Scan(ctx, w.mem, p, store.Key(prefix), store.PrefixEnd(store.Key(prefix)), false) {
		if err != nil {
			w.t.Fatal(err)
		}
		if !rec.Gone() {
			all[string(rec.Key[len(prefix):])] = rec.Value
		}
	}
	return all
}

// held is what alice keeps by the raw records: her uploads and her blobs, as
// blob and object, with their bytes (spec/blob.md, section 5). Of doomed ones the
// bytes may be gone already.
func (w *world) held() (held map[string]int64, doomed map[string]bool) {
	w.t.Helper()
	size := func(v []byte) int64 { return int64(binary.BigEndian.Uint64(v)) + int64(binary.BigEndian.Uint32(v[8:])) }
	held, doomed = map[string]int64{}, map[string]bool{}
	for key, v := range w.rows("U/"+store.Partition(alice[:]), "up/") {
		held[key] = size(v[1:])
	}
	all, err := w.mem.Partitions(ctx, "O/", "", store.MaxPage)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range all {
		if v := w.rows(p, "st")[""]; len(v) > 0 && identity.AccountID(v[18:34]) == alice {
			key := strings.TrimPrefix(string(p), "O/") + string(v[2:18])
			held[key], doomed[key] = size(v[34:]), v[1] == 3
		}
	}
	return held, doomed
}

// owned fails the test unless all that alice keeps counts for her, with its
// bytes. With exactly, nothing else does.
func (w *world) owned(exactly bool) {
	w.t.Helper()
	own := w.rows("U/"+store.Partition(alice[:]), "own/")
	held, doomed := w.held()
	var sum int64
	for key, v := range own {
		n := int64(binary.BigEndian.Uint64(v[1:]))
		if want, ok := held[key]; ok && n != want || !ok && exactly {
			w.t.Fatalf("%d bytes of %x count, and %d are kept", n, key, want)
		}
		sum += n
	}
	for key := range held {
		if own[key] == nil && !doomed[key] {
			w.t.Fatalf("%x is kept and does not count", key)
		}
	}
	if c, err := blob.Kept(ctx, w.svc, alice); err != nil || c.Items != int64(len(own)) || c.Bytes != sum {
		w.t.Fatalf("counted %+v, %v; there are %d, %d bytes", c, err, len(own), sum)
	}
}

// Random lives of a few blobs, with losses of power: what counts for the account
// is what is kept of it, never more than the quota, and when all is over nothing.
func TestWhatCountsIsWhatIsKept(t *testing.T) {
	const items, size = 3, 3000
	refused, most := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t)
		w.kept = func() *quota.Tally { return quota.NewTally("blobs", items, "blob-bytes", size, w.clock) }
		w.restart(false)
		var all []content
		for n := range byte(6) {
			all = append(all, newContent(n, 200+r.IntN(1200)))
		}
		// What a call says is of no account here: power fails in the middle.
		for range 40 {
			c, err := all[r.IntN(len(all))], error(nil)
			if r.IntN(5) == 0 {
				w.cutAt(r.IntN(12), r.IntN(2) == 0)
			}
			switch r.IntN(6) {
			case 0:
				err = w.create(c)
			case 1, 2:
				err = w.upload(c)
			case 3:
				err = w.refer(c, byte(r.IntN(2)), time.Duration(1+r.IntN(60))*time.Hour)
			case 4:
				err = w.svc.DropReference(ctx, c.id, alice, msg(byte(r.IntN(2))))
			default:
				w.pass(time.Duration(r.IntN(30)) * time.Hour)
				err = w.svc.Sweep(ctx)
			}
			var limit *blob.LimitError
			if errors.As(err, &limit) {
				refused++
			}
			if w.store.dead() || r.IntN(8) == 0 {
				w.restart(r.IntN(2) == 0)
			} else {
				w.disk.SetBefore(nil)
				w.store.reset()
			}
			w.owned(false)
			c2, err := blob.Kept(ctx, w.svc, alice)
			if err != nil || c2.Items > items || c2.Bytes > size {
				t.Fatalf("seed %d: %+v, %v", seed, c2, err)
			}
			most = max(most, int(c2.Items))
			w.pass(time.Minute)
		}
		w.sweep()
		w.owned(false)
		for range 3 { // what messages refer to, too, is over by then
			w.pass(40 * time.Hour)
			w.sweep()
		}
		w.owned(true)
		w.empty()
		if t.Failed() {
			t.Fatal(fmt.Sprint("seed ", seed))
		}
	}
	if refused < 20 || most != items {
		t.Errorf("%d were refused, and %d were kept at most: the quota was not tried", refused, most)
	}
}
