package mailbox

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// Claim reserves the one view of a message for the caller's device for
// ClaimLife. The same device may claim again at any time; another one once the
// claim has lapsed without a receipt.
func (s *Service) Claim(ctx context.Context, req *resealv1.ClaimRequest) (*resealv1.ClaimResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.MessageId) != len(message.ID{}) {
		return nil, refusal.Malformed("message")
	}
	until, err := s.claim(ctx, c, message.ID(req.MessageId))
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.ClaimResponse{UntilMs: uint64(until)}, nil
}

func (s *Service) claim(ctx context.Context, c caller.Caller, id message.ID) (identity.Time, error) {
	p := records.MessagePartition(c.Account, id)
	h, err := s.pending(ctx, p, id)
	if err != nil {
		return 0, err
	}
	if h.Policy != message.Once {
		return 0, refusal.Malformed("policy")
	}
	token, err := s.token()
	if err != nil {
		return 0, err
	}
	until := s.now().Add(ClaimLife)
	value := records.Claim{Device: c.Device, Until: until}.Encode()
	for range 4 { // each round another claim came between; two devices do not race for ever
		rec, err := s.Store.Get(ctx, p, records.ClaimKey(id))
		batch := new(store.Batch).Absent(records.EndKey(id))
		switch {
		case errors.Is(err, store.ErrAbsent):
			batch.Create(records.ClaimKey(id), value, token, int64(h.Expires))
		case err != nil:
			return 0, err
		default:
			old, err := records.ParseClaim(rec.Value)
			if err != nil {
				return 0, err
			}
			if old.Device != c.Device && old.Until > s.now() {
				return 0, refusal.New(resealv1.Reason_REASON_CLAIMED)
			}
			batch.Replace(records.ClaimKey(id), rec.Rev, value, token, int64(h.Expires))
		}
		err = s.Store.Commit(ctx, p, batch)
		var refused *store.Refused
		if errors.As(err, &refused) {
			if now, ok := refused.Find(records.ClaimKey(id)); ok && now.Token == token {
				return until, nil // an earlier try of this very call
			}
			if end, ok := refused.Find(records.EndKey(id)); ok {
				return 0, refusal.Ended(end.Value)
			}
			continue
		}
		if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {
			continue
		}
		return until, err
	}
	return 0, refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
}

// pending returns the header of a message of the partition that has not ended.
func (s *Service) pending(ctx context.Context, p store.Partition, id message.ID) (message.Header, error) {
	if end, err := s.get(ctx, p, records.EndKey(id)); err != nil {
		return message.Header{}, err
	} else if end != nil {
		return message.Header{}, refusal.Ended(end)
	}
	b, err := s.get(ctx, p, records.MessageKey(id))
	if err != nil {
		return message.Header{}, err
	}
	if b == nil {
		return message.Header{}, refusal.New(resealv1.Reason_REASON_UNKNOWN_MESSAGE)
	}
	m, err := records.ParseMessage(b)
	if err != nil {
		return message.Header{}, err
	}
	return message.ParseHeader(m.Header)
}
