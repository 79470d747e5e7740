package world

import (
	"fmt"
	"strings"

	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// Limit sets the quotas of messages, which a world is without at first.
func (w *World) Limit(l quota.Limits) {
	w.quotas = l
	w.mailbox.Pending = quota.NewTally("pending", l.Pending, "pending-bytes", l.PendingBytes, w.Now)
	w.mailbox.SentQuota = quota.NewTally("sent", l.Sent, "", 0, w.Now)
}

// Overfull compares what the server takes for an account's share of its store
// with every record in the raw store. It says what is wrong, or nothing: the
// server counts other than what is there, there is more than the quota, or it
// still takes room for free that is not. A commit that took effect when its call
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
		takesPending, takesSent, err := w.mailbox.Kept(background, a.ID)
		must(w, a, err)
		key := string(a.ID[:])
		for _, c := range []struct {
			what         string
			is, takes    quota.Count
			items, bytes int64
			tally        *quota.Tally
		}{
			{"pending", pending, takesPending, w.quotas.Pending, w.quotas.PendingBytes, w.mailbox.Pending},
			{"sent", sent, takesSent, w.quotas.Sent, 0, w.mailbox.SentQuota},
		} {
			if c.is.Items != c.takes.Items || c.is.Bytes != c.takes.Bytes {
				wrong = append(wrong, fmt.Sprintf("%s of %s: counted as %+v, are %+v", c.what, a.Handle, c.takes, c.is))
			}
			items, bytes, counted := c.tally.Room(key)
			if items, bytes = max(items, 0), max(bytes, 0); !counted {
				items, bytes = 0, 0
			}
			late := int64(w.store.lates)
			if c.items > 0 && c.is.Items+items > c.items+late || c.bytes > 0 && c.is.Bytes+bytes > c.bytes+late*store.MaxValue {
				wrong = append(wrong, fmt.Sprintf("%s of %s: are %+v and take %d, %d more, of %d, %d", c.what, a.Handle, c.is, items, bytes, c.items, c.bytes))
			}
		}
	}
	return wrong
}
