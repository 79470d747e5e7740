package store

import (
	"context"
	"iter"
)

// Scan yields all records of p with from <= key < to in order, page by page.
// It is not a snapshot: what is committed while it runs may show or not, what
// was committed before it started does. An error is yielded once, last.
func Scan(ctx context.Context, s Store, p Partition, from, to Key, keysOnly bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			page, err := s.Range(ctx, p, from, to, MaxPage, keysOnly)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) < MaxPage {
				return
			}
			from = After(page[len(page)-1].Key)
		}
	}
}
