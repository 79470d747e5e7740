package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal/store"
)

func readAfterCommit(t *testing.T, h *Harness) {
	const p = "after"
	for n := range 40 {
		k, end := number("o/", n), h.Clock.In(time.Minute)
		if err := h.node(n).Commit(t.Context(), p, batch().PutOnce(k, []byte("v"), end)); err != nil {
			t.Fatal(err)
		}
		if len(h.Nodes) == 1 {
			h.Clock.Move([]time.Duration{-store.ClockTolerance, store.ClockTolerance}[n%2])
		}
		h.get(t, p, k)
		for i, node := range h.Nodes {
			rs, err := node.Range(t.Context(), p, k, "", store.MaxPage, true)
			if err != nil || len(rs) != 1 || rs[0].Key != k || rs[0].Value != nil {
				t.Fatalf("node %d, commit %d: %+v, %v", i, n, rs, err)
			}
		}
	}
}

func rangeOrder(t *testing.T, h *Harness) {
	const p, n = "order", 250
	var want []store.Key
	for i := range n {
		want = append(want, number("o/", i))
	}
	for at := 0; at < n; at += 50 { // written in falling order of the hundreds
		b := batch()
		for _, k := range want[n-at-50 : n-at] {
			b.PutOnce(k, []byte(k), 0)
		}
		h.must(t, p, b)
	}
	for _, limit := range []int{1, 7, 50, n, store.MaxPage} {
		var got []store.Key
		for from := store.Key(""); ; {
			page, err := h.node(limit).Range(t.Context(), p, from, "", limit, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				if string(r.Value) != string(r.Key) {
					t.Fatalf("%q has value %q", r.Key, r.Value)
				}
				got = append(got, r.Key)
			}
			if len(page) < limit {
				break
			}
			from = store.After(page[len(page)-1].Key)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("pages of %d: %d keys, want %d", limit, len(got), n)
		}
	}
	part, err := h.node(0).Range(t.Context(), p, want[10], want[20], 100, true)
	if err != nil || len(part) != 10 || part[0].Key != want[10] || part[9].Key != want[19] {
		t.Fatalf("bounds: %+v, %v", part, err)
	}
	for _, bounds := range [][2]store.Key{{want[5], want[5]}, {want[6], want[5]}, {"p", ""}, {"", "a"}} {
		if rs, err := h.node(0).Range(t.Context(), p, bounds[0], bounds[1], 10, true); err != nil || len(rs) != 0 {
			t.Fatalf("range %q: %+v, %v", bounds, rs, err)
		}
	}
	// What was committed before a walk started is in it, whatever happens
	// meanwhile around it.
	together(t, 3, func(i int) error {
		for turn := range 30 {
			if i < 2 {
				k := store.Key(fmt.Sprintf("o/%08d+%d", turn*7, i))
				if err := h.node(i).Commit(t.Context(), p, batch().PutOnce(k, nil, 0)); err != nil {
					return err
				}
				if err := h.node(i).Commit(t.Context(), p, batch().DeleteOnce(k)); err != nil {
					return err
				}
				continue
			}
			missing, last := slices.Clone(want), store.Key("")
			for from := store.Key(""); ; {
				page, err := h.node(turn).Range(t.Context(), p, from, "", 17, true)
				if err != nil {
					return err
				}
				for _, r := range page {
					if r.Key <= last {
						return fmt.Errorf("%q after %q", r.Key, last)
					}
					last = r.Key
					if len(missing) > 0 && r.Key == missing[0] {
						missing = missing[1:]
					}
				}
				if len(page) < 17 {
					break
				}
				from = store.After(last)
			}
			if len(missing) > 0 {
				return fmt.Errorf("walk %d has a gap at %q", turn, missing[0])
			}
		}
		return nil
	})
}

func keysApart(t *testing.T, h *Harness) {
	partitions := []store.Partition{
		"a", "a\x00", "a\x00\x00", "a\x00\x01", "a\x00\x01o/", "a\x00\xff", "a\xff", "a\xff\xff", "ab", "b",
		"\x00", "\x00\x01", "\xff", "r", "x", "m", "a/o/", store.Partition(strings.Repeat("\x00", store.MaxPartition)),
		store.Partition(strings.Repeat("\xff", store.MaxPartition)),
	}
	tails := []string{
		"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00\x01", "a\x00b", "aa", "b",
		"\xfe", "\xff", "\xff\x00", "\xff\xff", strings.Repeat("\xff", store.MaxKey-2),
	}
	for _, p := range partitions {
		b := batch()
		for _, tail := range tails {
			b.PutOnce(store.Key("o/"+tail), []byte(string(p)+"|"+tail), 0)
		}
		h.must(t, p, b)
	}
	for _, p := range partitions {
		rs := h.all(t, p)
		if len(rs) != len(tails) {
			t.Fatalf("partition %q has %d records, want %d", p, len(rs), len(tails))
		}
		for i, r := range rs {
			if want := "o/" + tails[i]; string(r.Key) != want || string(r.Value) != string(p)+"|"+tails[i] {
				t.Fatalf("partition %q, place %d: %q = %q, want %q", p, i, r.Key, r.Value, want)
			}
			if one := h.get(t, p, r.Key); !bytes.Equal(one.Value, r.Value) {
				t.Fatalf("partition %q: get %q = %q", p, r.Key, one.Value)
			}
		}
	}
	h.must(t, "a", batch().DeleteOnce("o/").DeleteOnce("o/\x00"))
	h.absent(t, "a", "o/", "o/\x00")
	for _, p := range partitions[1:] {
		h.get(t, p, "o/")
	}
	rs, err := h.node(0).Range(t.Context(), "a\x00", "o/a", store.PrefixEnd("o/a"), 100, true)
	if err != nil || len(rs) != 5 {
		t.Fatalf("keys that start with o/a: %+v, %v", rs, err)
	}
}

func emptyIsNotAbsent(t *testing.T, h *Harness) {
	const p = "empty"
	h.must(t, p, batch().PutOnce("o/nil", nil, 0).PutOnce("o/empty", []byte{}, 0).Create("d", []byte("v"), token(), 0))
	for _, k := range []store.Key{"o/nil", "o/empty"} {
		if r := h.get(t, p, k); len(r.Value) != 0 || r.Gone() || !r.Present() {
			t.Fatalf("%+v", r)
		}
	}
	h.absent(t, p, "o/none")
	tok := token()
	h.must(t, p, batch().RevIs("d", h.get(t, p, "d").Rev).Gone("d", tok, 0))
	r := h.get(t, p, "d")
	if !r.Gone() || r.Token != tok {
		t.Fatalf("gone record: %+v", r)
	}
	h.refused(t, p, batch().Create("d", []byte("again"), token(), 0))
	if n := len(h.all(t, p)); n != 3 {
		t.Fatalf("%d records in range, want 3", n)
	}
	h.must(t, p, batch().Replace("d", r.Rev, []byte("again"), token(), 0))
}

func lowWater(t *testing.T, h *Harness) {
	const p, dead, live = "queue", 30_000, 10
	for at := 0; at < dead; at += store.MaxWrites {
		put, del := batch(), batch()
		for n := at; n < at+store.MaxWrites; n++ {
			put.PutOnce(number("o/", n), nil, 0)
			del.DeleteOnce(number("o/", n))
		}
		h.must(t, p, put)
		h.must(t, p, del)
	}
	b := batch()
	for n := dead; n < dead+live; n++ {
		b.PutOnce(number("o/", n), nil, 0)
	}
	h.must(t, p, b)
	before := h.Examined()
	rs, err := h.node(0).Range(t.Context(), p, number("o/", dead), "", store.MaxPage, true)
	if err != nil || len(rs) != live {
		t.Fatalf("%d records, %v", len(rs), err)
	}
	if n := h.Examined() - before; n > 2*live {
		t.Fatalf("%d rows examined for %d records", n, live)
	}
}

func closed(t *testing.T, h *Harness) {
	const p = "closed"
	s := h.node(0)
	h.must(t, p, batch().PutOnce("o/1", nil, 0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, getErr := s.Get(t.Context(), p, "o/1")
	_, rangeErr := s.Range(t.Context(), p, "", "", 1, true)
	commitErr := s.Commit(t.Context(), p, batch().PutOnce("o/2", nil, 0))
	for _, err := range []error{getErr, rangeErr, commitErr} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	}
}
