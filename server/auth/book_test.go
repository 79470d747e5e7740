package auth_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

func book(version uint64, parts int) *resealv1.Book {
	b := &resealv1.Book{Version: version}
	for range parts {
		b.Parts = append(b.Parts, tw.Random(32<<10))
	}
	return b
}

func getBook(t *testing.T, d *tw.Device) *resealv1.Book {
	t.Helper()
	return tw.Must[*resealv1.GetBookResponse](t)(d.C.GetBook(ctx, &resealv1.GetBookRequest{})).Book
}

func parts(t *testing.T, w *tw.World, d *tw.Device) int {
	t.Helper()
	n := 0
	for _, err := range store.Scan(ctx, w.Store, records.AccountPartition(d.Account.ID), records.Parts, store.PrefixEnd(records.Parts), true) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestBook(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	two := book(2, 12)
	req := &resealv1.PutBookRequest{BaseVersion: 1, Book: two}
	for range 2 { // the second is a repeat
		tw.Must[*resealv1.PutBookResponse](t)(d.C.PutBook(ctx, req))
	}
	if got := getBook(t, d); got.Version != 2 || !slices.EqualFunc(got.Parts, two.Parts, bytes.Equal) {
		t.Error("another book")
	}
	if n := parts(t, w, d); n != 12 {
		t.Errorf("%d parts are kept, the book has 12", n)
	}
	_, err := d.C.PutBook(ctx, &resealv1.PutBookRequest{BaseVersion: 1, Book: book(3, 1)})
	tw.Refused(t, err, resealv1.Reason_REASON_CONFLICT)
	for _, c := range []struct {
		req  *resealv1.PutBookRequest
		want resealv1.Reason
	}{
		{&resealv1.PutBookRequest{BaseVersion: 2}, resealv1.Reason_REASON_MALFORMED},
		{&resealv1.PutBookRequest{BaseVersion: 2, Book: book(2, 1)}, resealv1.Reason_REASON_MALFORMED},
		{&resealv1.PutBookRequest{BaseVersion: 2, Book: book(3, 0)}, resealv1.Reason_REASON_MALFORMED},
		{&resealv1.PutBookRequest{BaseVersion: 2, Book: &resealv1.Book{Version: 3, Parts: make([][]byte, 41)}}, resealv1.Reason_REASON_LIMIT},
		{&resealv1.PutBookRequest{BaseVersion: 2, Book: &resealv1.Book{Version: 3, Parts: [][]byte{make([]byte, 32<<10+1)}}}, resealv1.Reason_REASON_LIMIT},
	} {
		_, err := d.C.PutBook(ctx, c.req)
		tw.Refused(t, err, c.want)
	}
}

// Writers race, and some die before their head: the book that stands always has
// all its parts, and what the dead left is swept an hour later.
func TestBookWriters(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	var mu sync.Mutex
	n := 0
	w.Outcomes(func(_ store.Partition, b *store.Batch) memory.Outcome {
		mu.Lock()
		defer mu.Unlock()
		if n++; len(b.Conditions) == 1 && b.Conditions[0].Key == records.Book && n%5 == 0 {
			return memory.Never
		}
		return memory.Known
	})
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for range 30 {
				now := getBook(t, d)
				if now.Version > 1 && len(now.Parts) != 3 {
					t.Errorf("book of %d parts", len(now.Parts))
				}
				_, _ = d.C.PutBook(ctx, &resealv1.PutBookRequest{BaseVersion: now.Version, Book: book(now.Version+1, 3)})
			}
		})
	}
	all.Wait()
	w.Outcomes(nil)
	if now := getBook(t, d); len(now.Parts) != 3 {
		t.Fatalf("book of %d parts", len(now.Parts))
	}
	w.Pass(2 * time.Hour)
	for range 10 { // a sweep takes at most a batch
		now := getBook(t, d)
		tw.Must[*resealv1.PutBookResponse](t)(d.C.PutBook(ctx, &resealv1.PutBookRequest{BaseVersion: now.Version, Book: book(now.Version+1, 3)}))
	}
	if n := parts(t, w, d); n != 3 {
		t.Errorf("%d parts are left", n)
	}
}

func TestSetBlocked(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	_, err := d.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: d.Account.ID[:], Blocked: true})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED) // oneself
	_, err = d.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: []byte{1}, Blocked: true})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	for range 1000 {
		tw.Must[*resealv1.SetBlockedResponse](t)(d.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: tw.Random(16), Blocked: true}))
	}
	_, err = d.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: tw.Random(16), Blocked: true})
	tw.Refused(t, err, resealv1.Reason_REASON_LIMIT)
	tw.Must[*resealv1.SetBlockedResponse](t)(d.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: tw.Random(16)}))
}

// A part of the book that stands is not in the store, which no crash does: it is
// a fault of the store, and the log says of what. Reading ends all the same.
func TestBookPartMissing(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	tw.Must[*resealv1.PutBookResponse](t)(d.C.PutBook(ctx, &resealv1.PutBookRequest{BaseVersion: 1, Book: book(2, 3)}))
	p := records.AccountPartition(d.Account.ID)
	keys := tw.Must[[]store.Record](t)(w.Store.Range(ctx, p, records.Parts, store.PrefixEnd(records.Parts), 10, true))
	if err := w.Store.Commit(ctx, p, new(store.Batch).DeleteOnce(keys[1].Key)); err != nil {
		t.Fatal(err)
	}
	before := w.Store.Examined()
	_, err := d.C.GetBook(ctx, &resealv1.GetBookRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_INTERNAL)
	if n := w.Store.Examined() - before; n > 20 {
		t.Errorf("%d records read", n)
	}
	if log := string(w.Log.Bytes()); !strings.Contains(log, "a part of the book is missing") {
		t.Errorf("the log does not say what is damaged: %s", log)
	}
	// The account's devices have the book: a new version heals it.
	tw.Must[*resealv1.PutBookResponse](t)(d.C.PutBook(ctx, &resealv1.PutBookRequest{BaseVersion: 2, Book: book(3, 2)}))
	if got := getBook(t, d); got.Version != 3 || len(got.Parts) != 2 {
		t.Error("another book")
	}
}
