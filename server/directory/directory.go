// Package directory hands out what accounts signed about themselves: device
// lists, the rotations between them, and epoch certificates. Clients verify all
// of it; the directory is believed in nothing.
package directory

import (
	"context"
	"errors"
	"log/slog"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/faults"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/store"
)

// Limits of one call.
const (
	MaxAccounts     = 256
	MaxCertificates = 64
)

// Limiter refuses what comes too often. The kind is "directory", by account: one
// for each account or certificate that is asked for. A handle can be tried by
// asking, and one call asks for hundreds of accounts.
type Limiter interface {
	AllowN(kind, key string, n int) error
}

// Service is the directory. Its methods may be called from many goroutines.
type Service struct {
	Store   store.Store
	Limiter Limiter
	Log     *slog.Logger
}

// room takes n lookups from the caller's bucket.
func (s *Service) room(ctx context.Context, n int) error {
	c, err := caller.From(ctx)
	if err != nil {
		return err
	}
	return s.Limiter.AllowN("directory", string(c.Account[:]), n)
}

// Lookup finds an account by its handle.
func (s *Service) Lookup(ctx context.Context, req *resealv1.LookupRequest) (*resealv1.LookupResponse, error) {
	if err := s.room(ctx, 1); err != nil {
		return nil, err
	}
	h, err := handle.Parse(req.Handle)
	if err != nil {
		return nil, refusal.New(resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	}
	rec, err := s.Store.Get(ctx, records.HandlePartition(string(h)), records.HandleID)
	if errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
		return nil, refusal.New(resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	a, err := records.ParseAccount(rec.Value)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	k, err := s.keys(ctx, a, 0)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.LookupResponse{Account: k}, nil
}

func (s *Service) keys(ctx context.Context, a identity.AccountID, known uint64) (*resealv1.AccountKeys, error) {
	r, err := roster.Read(ctx, s.Store, a)
	if err != nil {
		return nil, err
	}
	return r.Keys(ctx, s.Store, known)
}

// GetAccounts brings the caller up to date on accounts that it knows; those
// that do not exist are left out.
func (s *Service) GetAccounts(ctx context.Context, req *resealv1.GetAccountsRequest) (*resealv1.GetAccountsResponse, error) {
	if _, err := caller.From(ctx); err != nil {
		return nil, err
	}
	if len(req.Accounts) > MaxAccounts {
		return nil, refusal.Limit("accounts")
	}
	if err := s.room(ctx, len(req.Accounts)); err != nil {
		return nil, err
	}
	resp := new(resealv1.GetAccountsResponse)
	for _, a := range req.Accounts {
		if len(a.AccountId) != len(identity.AccountID{}) {
			return nil, refusal.Malformed("account")
		}
		k, err := s.keys(ctx, identity.AccountID(a.AccountId), a.ListVersion)
		if errors.Is(err, roster.ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		resp.Accounts = append(resp.Accounts, k)
	}
	return resp, nil
}

// GetCertificates returns the named certificates as far as they are there.
func (s *Service) GetCertificates(ctx context.Context, req *resealv1.GetCertificatesRequest) (*resealv1.GetCertificatesResponse, error) {
	if _, err := caller.From(ctx); err != nil {
		return nil, err
	}
	if len(req.Certificates) > MaxCertificates {
		return nil, refusal.Limit("certificates")
	}
	if err := s.room(ctx, len(req.Certificates)); err != nil {
		return nil, err
	}
	resp := new(resealv1.GetCertificatesResponse)
	for _, n := range req.Certificates {
		if len(n.AccountId) != len(identity.AccountID{}) || len(n.DeviceId) != len(identity.DeviceID{}) {
			return nil, refusal.Malformed("certificate")
		}
		c, err := roster.Certificate(ctx, s.Store, identity.AccountID(n.AccountId), identity.DeviceID(n.DeviceId), n.Epoch)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		if c != nil {
			resp.Certificates = append(resp.Certificates, c.Bytes())
		}
	}
	return resp, nil
}

func (s *Service) fail(ctx context.Context, err error) error {
	return faults.Refuse(ctx, s.Log, "directory", err)
}
