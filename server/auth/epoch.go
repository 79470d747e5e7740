package auth

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/store"
)

// MaxEpochStep is the most by which the number of an epoch may be above that of
// the newest one here. It is more than 1 for a server that was put back from a
// copy: devices are ahead of it by the epochs that they published since.
const MaxEpochStep = 64

// PublishEpoch stores the caller's device's next certificate, then tells who
// watches the account.
func (s *Service) PublishEpoch(ctx context.Context, req *resealv1.PublishEpochRequest) (*resealv1.PublishEpochResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.publish(ctx, c, req); err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.PublishEpochResponse{}, nil
}

func (s *Service) publish(ctx context.Context, c caller.Caller, req *resealv1.PublishEpochRequest) error {
	token, err := tokenOf(req)
	if err != nil {
		return err
	}
	// Before the certificates: what is published after it is a conflict.
	p := records.AccountPartition(c.Account)
	last, err := s.Store.Get(ctx, p, records.EpochKey(c.Device))
	if err != nil && !errors.Is(err, store.ErrAbsent) {
		return err
	}
	r, err := roster.Read(ctx, s.Store, c.Account)
	if err != nil {
		return err
	}
	newest := r.Newest[c.Device]
	if newest != nil && string(newest.Bytes()) == string(req.Certified.GetCertificate()) {
		s.Bus.Publish(s.Topics.Directory(c.Account), nil)
		return nil // a repeat
	}
	cert, err := s.certified(req.Certified, r.List, c.Device)
	if err != nil {
		return err
	}
	if newest != nil {
		switch err := identity.CheckSuccessor(newest, cert); {
		case errors.Is(err, identity.ErrOlder), errors.Is(err, identity.ErrFork):
			return refusal.New(resealv1.Reason_REASON_CONFLICT)
		case err != nil:
			return refusal.New(resealv1.Reason_REASON_PROOF)
		case cert.Certificate.Epoch-newest.Certificate.Epoch > MaxEpochStep:
			return refusal.Malformed("epoch")
		}
	}
	prefix := records.CertsOf(c.Device)
	if all, err := s.Store.Range(ctx, p, prefix, store.PrefixEnd(prefix), MaxEpochs, true); err != nil {
		return err
	} else if len(all) >= MaxEpochs {
		return refusal.Limit("epochs")
	}
	if err := s.Limiter.Allow("epoch", string(c.Account[:])); err != nil {
		return err
	}
	number := records.EncodeEpoch(cert.Certificate.Epoch)
	b := new(store.Batch)
	if last.Present() {
		b.Replace(records.EpochKey(c.Device), last.Rev, number, token, certExpires(cert))
	} else {
		b.Create(records.EpochKey(c.Device), number, token, certExpires(cert))
	}
	putCertificate(b, cert)
	if err := s.commit(ctx, c.Account, b, token); err != nil {
		return err
	}
	s.Counter.Count("epochs", "")
	s.Bus.Publish(s.Topics.Directory(c.Account), nil)
	return nil
}
