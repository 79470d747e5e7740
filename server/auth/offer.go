package auth

import (
	"context"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/store"
)

// OfferList puts a list of the account in the place of an older one, where this
// server was put back from a copy and has forgotten the newer. It takes what the
// account key signed and follows from what stands, as a contact would; so it
// brings back no device that the newest list lacks, and destroys the shares of
// those again. A rotation and a reset are more than a list: they are not taken.
// Of two offers the higher version stays; a list that stands already is no error.
func (s *Service) OfferList(ctx context.Context, req *resealv1.OfferListRequest) (*resealv1.OfferListResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	l, err := identity.ParseSignedList(req.List)
	if err != nil || l.List.Account != c.Account || l.Rotation() {
		return nil, refusal.Malformed("device list")
	}
	if err := s.Limiter.Allow("epoch", string(c.Account[:])); err != nil {
		return nil, err
	}
	if err := s.offerList(ctx, c, l); err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.OfferListResponse{}, nil
}

func (s *Service) offerList(ctx context.Context, c caller.Caller, l *identity.SignedList) error {
	a, err := s.readAs(ctx, c)
	if err != nil || a.list.List.Version >= l.List.Version {
		return err
	}
	if _, err := identity.PinOf(a.list).Follow(l); err != nil || l.List.Key != a.list.List.Key {
		return refusal.New(resealv1.Reason_REASON_PROOF)
	}
	if _, here := l.Find(c.Device); !here {
		return refusal.New(resealv1.Reason_REASON_PROOF)
	}
	token, err := store.NewToken(s.Rand)
	if err != nil {
		return err
	}
	b := a.batch(token)
	s.putList(b, a, l, token)
	if err := s.destroyShares(ctx, b, a.id, l, token); err != nil {
		return err
	}
	if err := s.commit(ctx, a.id, b, token); err != nil {
		return err
	}
	s.listChanged(a.id)
	s.Counter.Count("devices", "offered")
	return nil
}
