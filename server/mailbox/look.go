package mailbox

import (
	"context"
	"slices"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// look reads the lists and certificates of both accounts once more and returns
// the accounts with a device that has a valid epoch and no good wrap: of wraps,
// or of those that came later, which are only read where these do not do.
func (s *Service) look(ctx context.Context, h message.Header, wraps []*message.Wrap) (stale []*resealv1.AccountKeys, end []byte, err error) {
	all := false // wraps has those that came later
	for i, a := range []identity.AccountID{h.Recipient, h.Sender} {
		if i > 0 && a == h.Recipient {
			break // to oneself
		}
		r, err := roster.Read(ctx, s.Store, a)
		if err != nil {
			return nil, nil, err
		}
		lacking, err := s.lacking(ctx, r, h, wraps)
		if err != nil {
			return nil, nil, err
		}
		if lacking && !all {
			later, err := s.laterWraps(ctx, h)
			if err != nil {
				return nil, nil, err
			}
			wraps, all = append(slices.Clone(wraps), later...), true
			if lacking, err = s.lacking(ctx, r, h, wraps); err != nil {
				return nil, nil, err
			}
		}
		if lacking {
			k, err := r.Keys(ctx, s.Store, namedVersion(a, wraps, r))
			if err != nil {
				return nil, nil, err
			}
			stale = append(stale, k)
		}
	}
	end, err = s.get(ctx, records.MessagePartition(h.Recipient, h.ID), records.EndKey(h.ID))
	return stale, end, err
}

// namedVersion is the list version that the wraps were made for.
func namedVersion(a identity.AccountID, wraps []*message.Wrap, r *roster.Roster) uint64 {
	v := r.List.List.Version
	for _, w := range wraps {
		if w.Context.To.Account == a {
			v = min(v, w.Context.To.ListVersion)
		}
	}
	return v
}

// lacking tells whether any current device with a valid epoch has no wrap, or
// only one to an epoch superseded more than 6 days ago.
func (s *Service) lacking(ctx context.Context, r *roster.Roster, h message.Header, wraps []*message.Wrap) (bool, error) {
	now := s.now()
	for _, d := range r.List.List.Devices {
		c := r.Newest[d.ID]
		if c == nil || !c.Certificate.ValidAt(now) || (r.List.List.Account == h.Sender && d.ID == h.SenderDevice) {
			continue
		}
		covered := false
		for _, w := range wraps {
			to := w.Context.To
			if to.Account != r.List.List.Account || to.Device != d.ID || covered {
				continue
			}
			var err error
			if covered, err = s.fresh(ctx, to, c, now); err != nil {
				return false, err
			}
		}
		if !covered {
			return true, nil
		}
	}
	return false, nil
}

// fresh tells whether a wrap's epoch is the newest, or was superseded not
// longer ago than a device is sure to keep its private half.
func (s *Service) fresh(ctx context.Context, to message.WrapTo, newest *identity.SignedCertificate, now identity.Time) (bool, error) {
	if to.Epoch >= newest.Certificate.Epoch {
		return to.Epoch == newest.Certificate.Epoch, nil
	}
	successor, err := roster.Certificate(ctx, s.Store, to.Account, to.Device, to.Epoch+1)
	if err != nil || successor == nil {
		return false, err
	}
	return now.Sub(successor.Certificate.NotBefore) <= identity.StaleAfter, nil
}

// laterWraps are the wraps that came after the message, for both accounts.
func (s *Service) laterWraps(ctx context.Context, h message.Header) ([]*message.Wrap, error) {
	var wraps []*message.Wrap
	for _, a := range []identity.AccountID{h.Recipient, h.Sender} {
		prefix := records.WrapsOf(h.ID)
		for rec, err := range store.Scan(ctx, s.Store, records.MessagePartition(a, h.ID), prefix, store.PrefixEnd(prefix), false) {
			if err != nil {
				return nil, err
			}
			if w, err := message.ParseWrap(rec.Value); err == nil {
				wraps = append(wraps, w)
			}
		}
	}
	return wraps, nil
}
