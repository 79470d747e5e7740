package world

import (
	"fmt"
	"strings"
	"time"

	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// Limit sets the quotas of messages, which a world is without at first.
func (w *World) Limit(l quota.Limits) {
	w.quotas = l
	for _, x := range w.nodes {
		x.limit(l, func() time.Time { return w.Now().Add(x.skew) })
	}
}

// Overfull compares what the server takes for an account's share of its store
// with every record in the raw store. It says what is wrong, or nothing: the
// server counts other than what is there, there is more than the quota, or it
// still takes room for free that is not. Each node may let in what it saw as free,
// so there are as many quotas as nodes. A commit that took effect when its call
// was long over may be in excess: nobody could know.
func (w *World) Overfull() (wrong []string) {
	for _, a := range w.accounts {
		var pending, sent quota.Count
		all, err := w.store.Partitions(background, records.Days(a.ID), "", store.MaxPage)
		must(w, all, err)
		for _, p := range all {
			for rec, err := range store.Scan(background, w.store.Store, p, "", "", false) {
				must(w, rec, err)
				switch {
				case strings.HasPrefix(string(rec.Key), string(records.Messages)):
					pending.Items, pending.Bytes = pending.Items+1, pending.Bytes+int64(len(rec.Value))
				case strings.HasPrefix(string(rec.Key), string(records.Copies)):
					sent.Items++
				}
			}
		}
		takesPending, takesSent, err := w.first().mailbox.Kept(background, a.ID)
		must(w, a, err)
		key := string(a.ID[:])
		for _, c := range []struct {
			what         string
			is, takes    quota.Count
			items, bytes int64
			tally        func(*node) *quota.Tally
		}{
			{"pending", pending, takesPending, w.quotas.Pending, w.quotas.PendingBytes, func(x *node) *quota.Tally { return x.mailbox.Pending }},
			{"sent", sent, takesSent, w.quotas.Sent, 0, func(x *node) *quota.Tally { return x.mailbox.SentQuota }},
		} {
			if c.is.Items != c.takes.Items || c.is.Bytes != c.takes.Bytes {
				wrong = append(wrong, fmt.Sprintf("%s of %s: counted as %+v, are %+v", c.what, a.Handle, c.takes, c.is))
			}
			var items, bytes int64
			for _, x := range w.nodes {
				if n, b, counted := c.tally(x).Room(key); counted {
					items, bytes = items+max(n, 0), bytes+max(b, 0)
				}
			}
			late, nodes := int64(w.store.lates), int64(len(w.nodes))
			if c.items > 0 && c.is.Items+items > nodes*c.items+late || c.bytes > 0 && c.is.Bytes+bytes > nodes*c.bytes+late*store.MaxValue {
				wrong = append(wrong, fmt.Sprintf("%s of %s: are %+v and take %d, %d more, of %d, %d", c.what, a.Handle, c.is, items, bytes, c.items, c.bytes))
			}
		}
	}
	return wrong
}
