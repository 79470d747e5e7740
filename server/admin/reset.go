package admin

import (
	"context"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/invite"
)

// AskAccountReset announces a reset of an account that no device is left of. The
// code is told once, here; the server keeps its hash.
func (s *Service) AskAccountReset(ctx context.Context, req *resealv1.AskAccountResetRequest) (*resealv1.AskAccountResetResponse, error) {
	id, err := s.Accounts.Named(ctx, req.Handle)
	if err != nil {
		return nil, err
	}
	code, err := invite.New(s.Rand)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	due, ends, err := s.Accounts.OperatorReset(ctx, id, code.Hash())
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "admin: reset announced")
	return &resealv1.AskAccountResetResponse{Code: code.Reveal(), DueMs: uint64(due), EndsMs: uint64(ends)}, nil
}

// CancelAccountReset ends an announced reset, whoever asked for it. Where there
// is none it does nothing.
func (s *Service) CancelAccountReset(ctx context.Context, req *resealv1.CancelAccountResetRequest) (*resealv1.CancelAccountResetResponse, error) {
	id, err := s.Accounts.Named(ctx, req.Handle)
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.OperatorCancelReset(ctx, id); err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "admin: reset cancelled")
	return &resealv1.CancelAccountResetResponse{}, nil
}
