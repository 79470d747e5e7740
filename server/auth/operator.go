package auth

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/store"
)

// Named is the account that a handle names, for the operator; a refusal where
// there is none.
func (s *Service) Named(ctx context.Context, name string) (identity.AccountID, error) {
	h, err := handle.Parse(name)
	if err != nil {
		return identity.AccountID{}, refusal.Malformed("handle")
	}
	id, err := s.named(ctx, h)
	if err == nil && id.IsZero() {
		err = refusal.New(resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	}
	if err != nil {
		return identity.AccountID{}, s.fail(ctx, err)
	}
	return id, nil
}

// Sessions are an account's live sessions, for the operator.
func (s *Service) Sessions(ctx context.Context, id identity.AccountID) (*resealv1.ListSessionsResponse, error) {
	return s.ListSessions(caller.With(ctx, caller.Caller{Account: id}), nil)
}

// EndSessions ends all sessions of an account, for the operator: every device is
// logged out, and every app told so.
func (s *Service) EndSessions(ctx context.Context, id identity.AccountID) error {
	if err := s.endSession(ctx, id, nil); err != nil {
		return s.fail(ctx, err)
	}
	return nil
}

// DeleteAccount does for the operator what CloseAccount does for the owner.
func (s *Service) DeleteAccount(ctx context.Context, id identity.AccountID) error {
	err := s.closeRepeatedly(ctx, func() error {
		a, err := s.read(ctx, id)
		if err != nil {
			return err
		}
		return s.closeAccount(ctx, a, [32]byte{})
	})
	if err != nil {
		return s.fail(ctx, err)
	}
	// The sessions went with the records: wake the streams, which look.
	s.changed(id)
	s.Counter.Count("passwords", "closed")
	return nil
}

// closeRepeatedly tries again when somebody wrote in between.
func (s *Service) closeRepeatedly(ctx context.Context, try func() error) (err error) {
	for range 4 {
		err = try()
		var refused *store.Refused
		if !errors.As(err, &refused) && refusal.Reason(err) != resealv1.Reason_REASON_CONFLICT || ctx.Err() != nil {
			return err
		}
		err = refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
	}
	return err
}
