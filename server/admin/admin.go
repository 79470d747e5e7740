// Package admin is what the operator may do with the accounts of a server: make
// and withdraw invites, count, end sessions, delete an account, copy everything.
// It has no contents to show, and shows no more than it must of who uses the server.
//
// Its calls (reseal.v1.AdminService) have no session and no limit: who can reach
// them may do everything. They are served on a unix socket in the data folder
// that only the server's own user can open, and never to clients.
package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/faults"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/store"
)

// Limits of one call.
const (
	// MaxInvites is how many invites one call makes.
	MaxInvites = 100
	// MaxInviteLife is how long an invite may be good (spec/invite.md).
	MaxInviteLife = 366 * 24 * time.Hour
)

// Accounts is what the server does with one account.
type Accounts interface {
	// Named is the account of a handle, or a refusal.
	Named(ctx context.Context, handle string) (identity.AccountID, error)
	Sessions(ctx context.Context, a identity.AccountID) (*resealv1.ListSessionsResponse, error)
	EndSessions(ctx context.Context, a identity.AccountID) error
	DeleteAccount(ctx context.Context, a identity.AccountID) error
	// OperatorReset announces a reset that the code with this hash finishes, and
	// tells from when and until when.
	OperatorReset(ctx context.Context, a identity.AccountID, code [32]byte) (due, ends identity.Time, err error)
	OperatorCancelReset(ctx context.Context, a identity.AccountID) error
}

// Service is AdminService. All fields are needed but Lister, without which
// nothing can be counted; its methods may be called from many goroutines.
type Service struct {
	Store    store.Store
	Lister   store.Lister
	Accounts Accounts
	// Copy makes a consistent copy of everything in a folder that is not there,
	// durable when it returns. Its error is told to the operator as it is.
	Copy func(ctx context.Context, folder string) error
	Log  *slog.Logger
	Now  func() time.Time
	Rand io.Reader
}

func (s *Service) now() identity.Time { return identity.TimeOf(s.Now()) }

func (s *Service) fail(ctx context.Context, err error) error {
	return faults.Refuse(ctx, s.Log, "admin", err)
}

// CreateInvites makes invites, each on its own: what a crash or a lost answer
// leaves behind is good for nobody and ends.
func (s *Service) CreateInvites(ctx context.Context, req *resealv1.CreateInvitesRequest) (*resealv1.CreateInvitesResponse, error) {
	end := identity.Time(req.EndsMs)
	if req.Count < 1 || req.Count > MaxInvites {
		return nil, refusal.Limit("invites in one call")
	}
	if now := s.now(); end <= now || end > now.Add(MaxInviteLife) {
		return nil, refusal.Limit("end of an invite")
	}
	resp := new(resealv1.CreateInvitesResponse)
	for range req.Count {
		c, err := invite.New(s.Rand)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		token, err := store.NewToken(s.Rand)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		hash := c.Hash()
		b := new(store.Batch).Create(records.InviteKey(hash), records.Invite{End: end}.Encode(), token, int64(end))
		if err := s.Store.Commit(ctx, records.InvitePartition, b); err != nil {
			return nil, s.fail(ctx, err)
		}
		resp.Invites = append(resp.Invites, &resealv1.NewInvite{Code: c.Reveal(), Id: hash[:records.InviteIDSize], EndsMs: req.EndsMs})
	}
	s.Log.InfoContext(ctx, "admin: invites made", "count", req.Count)
	return resp, nil
}

// ListInvites lists the invites that have not ended.
func (s *Service) ListInvites(ctx context.Context, _ *resealv1.ListInvitesRequest) (*resealv1.ListInvitesResponse, error) {
	resp := new(resealv1.ListInvitesResponse)
	for rec, err := range store.Scan(ctx, s.Store, records.InvitePartition, records.Invites, store.PrefixEnd(records.Invites), false) {
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		if rec.Gone() {
			continue
		}
		i, err := records.ParseInvite(rec.Value)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		if s.now() >= i.End {
			continue
		}
		id := []byte(rec.Key[len(records.Invites):])[:records.InviteIDSize]
		resp.Invites = append(resp.Invites, &resealv1.Invite{Id: id, EndsMs: uint64(i.End), Used: i.Used})
	}
	return resp, nil
}

// RevokeInvite withdraws an invite. One that is used stays: its account may have
// to be finished.
func (s *Service) RevokeInvite(ctx context.Context, req *resealv1.RevokeInviteRequest) (*resealv1.RevokeInviteResponse, error) {
	if len(req.Id) != records.InviteIDSize {
		return nil, refusal.Malformed("invite id")
	}
	from := records.Invites + store.Key(req.Id)
	all, err := s.Store.Range(ctx, records.InvitePartition, from, store.PrefixEnd(from), 1, false)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if len(all) == 0 || all[0].Gone() {
		return nil, refusal.New(resealv1.Reason_REASON_INVITE)
	}
	i, err := records.ParseInvite(all[0].Value)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if i.Used {
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	token, err := store.NewToken(s.Rand)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	err = s.Store.Commit(ctx, records.InvitePartition, new(store.Batch).RevIs(all[0].Key, all[0].Rev).Gone(all[0].Key, token, int64(i.End)))
	var refused *store.Refused
	if errors.As(err, &refused) { // somebody uses it this moment
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Log.InfoContext(ctx, "admin: invite withdrawn")
	return &resealv1.RevokeInviteResponse{}, nil
}

// EndSessions logs an account out everywhere.
func (s *Service) EndSessions(ctx context.Context, req *resealv1.EndSessionsRequest) (*resealv1.EndSessionsResponse, error) {
	id, err := s.Accounts.Named(ctx, req.Handle)
	if err != nil {
		return nil, err
	}
	all, err := s.Accounts.Sessions(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.EndSessions(ctx, id); err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "admin: sessions ended", "count", len(all.Sessions))
	return &resealv1.EndSessionsResponse{Ended: uint32(len(all.Sessions))}, nil
}

// DeleteAccount closes an account as its owner can.
func (s *Service) DeleteAccount(ctx context.Context, req *resealv1.DeleteAccountRequest) (*resealv1.DeleteAccountResponse, error) {
	id, err := s.Accounts.Named(ctx, req.Handle)
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.DeleteAccount(ctx, id); err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "admin: account deleted")
	return &resealv1.DeleteAccountResponse{}, nil
}
