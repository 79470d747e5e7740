package mailbox

import (
	"context"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// keptDays is how many days back a partition may have messages: they live for 30
// days, and may be a day old when they come.
const keptDays = 32

// keptPage is how many records are read at a time: of the largest, 5 MiB.
const keptPage = 200

// quotas takes room for a message at the recipient and at the sender, or says
// which of them has none. For a blocked sender it is the same. The caller calls
// done when the message is stored, or is not.
func (s *Service) quotas(ctx context.Context, m *sending, known known, stranger bool) (done func(), err error) {
	pending := func() {}
	if !known.stored {
		to := m.h.Recipient
		take := s.Pending.Take
		if stranger {
			take = s.Pending.TakeOfHalf
		}
		if pending, err = take(ctx, string(to[:]), int64(m.record.Size()), func(ctx context.Context) (quota.Count, error) {
			return s.kept(ctx, to, records.Messages, false)
		}); err != nil {
			return nil, err
		}
	}
	if known.copied {
		return pending, nil
	}
	from := m.h.Sender
	sent, err := s.SentQuota.Take(ctx, string(from[:]), 0, func(ctx context.Context) (quota.Count, error) {
		return s.kept(ctx, from, records.Copies, true)
	})
	if err != nil {
		pending()
		return nil, err
	}
	return func() { pending(); sent() }, nil
}

// Kept counts what the quotas bound, as they count it: messages that wait for an
// account, and copies of those that it sent, these without their bytes.
func (s *Service) Kept(ctx context.Context, a identity.AccountID) (pending, sent quota.Count, err error) {
	if pending, err = s.kept(ctx, a, records.Messages, false); err != nil {
		return pending, sent, err
	}
	sent, err = s.kept(ctx, a, records.Copies, true)
	return pending, sent, err
}

// kept counts the messages of an account, or the copies of those that it sent;
// with number only it does not read them.
func (s *Service) kept(ctx context.Context, a identity.AccountID, prefix store.Key, number bool) (c quota.Count, err error) {
	var first int64
	limit := keptPage
	if number {
		limit = store.MaxPage
	}
	today := s.now().Day()
	for day := today - keptDays; day <= today+1; day++ {
		p := records.DayPartition(a, day)
		for from := prefix; ; {
			page, err := s.Store.Range(ctx, p, from, store.PrefixEnd(prefix), limit, number)
			if err != nil {
				return c, err
			}
			for _, rec := range page {
				c.Items, c.Bytes = c.Items+1, c.Bytes+int64(len(rec.Value))
				if first == 0 || (rec.Expires != 0 && rec.Expires < first) {
					first = rec.Expires
				}
			}
			if len(page) < limit {
				break
			}
			from = store.After(page[len(page)-1].Key)
		}
	}
	if first != 0 {
		c.Next = time.UnixMilli(first)
	}
	return c, nil
}
