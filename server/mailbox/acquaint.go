package mailbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/reseal/reseal/api/refusal"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/recent"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// StrangersQuota is the name of the quota of Service.Strangers in a refusal.
const StrangersQuota = "strangers written to in a day"

// UnansweredQuota is the name in a refusal of what one account may write to
// another that has never answered.
const UnansweredQuota = "messages to somebody who has not answered"

// address notes that an account writes to another one, and refuses it where that
// would be one stranger too many today; it tells whether the sender is a stranger
// to the recipient. A stranger is who has neither written to
// the sender nor answered for a message of theirs, as far as the server
// remembers: one or two periods of [records.AcquaintedDays] days. Who blocked the
// sender stays what he was before.
func (s *Service) address(ctx context.Context, from, to identity.AccountID) (stranger bool, err error) {
	if from == to || s.Strangers <= 0 {
		return false, nil
	}
	known, err := s.acquainted(ctx, to, from)
	if err != nil {
		return false, err
	}
	if !known {
		if err := s.stranger(ctx, from, to); err != nil {
			return false, err
		}
	}
	return !known, s.acquaint(ctx, from, to)
}

// stranger takes one of today's strangers from an account's quota, once for each.
func (s *Service) stranger(ctx context.Context, from, to identity.AccountID) error {
	now := s.now()
	today := now.Day()
	whom, p := records.Pair(from, to), records.AccountPartition(from)
	for range 64 { // of calls at the same time, one goes on in each round
		b := new(store.Batch)
		token, err := s.token()
		if err != nil {
			return err
		}
		midnight := identity.Time(uint64(today+1) * uint64(24*time.Hour/time.Millisecond))
		until := int64(midnight.Add(24 * time.Hour))
		rec, err := s.Store.Get(ctx, p, records.StrangersKey)
		switch {
		case errors.Is(err, store.ErrAbsent):
			b.Create(records.StrangersKey, records.Strangers{Day: today, Whom: []records.PairHash{whom}}.Encode(), token, until)
		case err != nil:
			return err
		default:
			day := records.Strangers{Day: today}
			if !rec.Gone() {
				if day, err = records.ParseStrangers(rec.Value); err != nil {
					return err
				}
			}
			switch {
			case day.Day > today && day.Day-today == 1:
				today = day.Day // another node's clock is past midnight
				continue
			case day.Day != today:
				day = records.Strangers{Day: today}
			case slices.Contains(day.Whom, whom):
				return nil
			case len(day.Whom) >= s.Strangers:
				return refusal.Quota(StrangersQuota, midnight.Sub(now))
			}
			day.Whom = append(day.Whom, whom)
			b.Replace(records.StrangersKey, rec.Rev, day.Encode(), token, until)
		}
		var refused *store.Refused
		if err := s.Store.Commit(ctx, p, b); !errors.As(err, &refused) {
			return err
		}
	}
	return store.ErrUnknown // as if the store did not answer: the call can be repeated
}

// acquainted tells whether an account has shown that it knows another one.
func (s *Service) acquainted(ctx context.Context, who, whom identity.AccountID) (bool, error) {
	pair, period := records.Pair(who, whom), records.PeriodOf(s.now())
	if s.met.has(pair, period) {
		return true, nil
	}
	for _, n := range []uint32{period, period - 1} {
		v, err := s.get(ctx, records.AccountPartition(who), records.AcquaintedKey(n, pair))
		if err != nil {
			return false, err
		}
		if v != nil && n == period {
			s.met.add(pair, period)
		}
		if v != nil {
			return true, nil
		}
	}
	return false, nil
}

// acquaint remembers for this period and the next that an account knows another.
func (s *Service) acquaint(ctx context.Context, who, whom identity.AccountID) error {
	pair, period := records.Pair(who, whom), records.PeriodOf(s.now())
	if who == whom || s.Strangers <= 0 || s.met.has(pair, period) {
		return nil
	}
	p, k := records.AccountPartition(who), records.AcquaintedKey(period, pair)
	v, err := s.get(ctx, p, k)
	if err != nil {
		return err
	}
	if v == nil {
		b := new(store.Batch).PutOnce(k, records.EncodeAcquainted(), int64(records.PeriodEnd(period+1)))
		if err := s.commit(ctx, p, b); err != nil {
			return err
		}
	}
	s.met.add(pair, period)
	return nil
}

// met remembers pairs that are in the store, so that a message between people who
// know each other costs no reads. What it says never becomes false.
type met struct {
	mu     sync.Mutex
	period uint32
	pairs  recent.Map[records.PairHash, struct{}]
}

// maxMet is how many pairs are remembered: about 5 MiB.
const maxMet = 1 << 16

func (m *met) has(p records.PairHash, period uint32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.period == period && m.pairs.Has(p)
}

func (m *met) add(p records.PairHash, period uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.period != period {
		m.period, m.pairs = period, recent.New[records.PairHash, struct{}](maxMet)
	}
	m.pairs.Put(p, struct{}{})
}
