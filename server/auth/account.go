package auth

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/faults"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/store"
)

// account is an account's records at one moment, with their revisions.
type account struct {
	id      identity.AccountID
	pw      records.Password
	rev     uint64
	list    *identity.SignedList
	listRev uint64
}

// read returns an account's records; a refusal where there is no account.
func (s *Service) read(ctx context.Context, id identity.AccountID) (*account, error) {
	p := records.AccountPartition(id)
	a := &account{id: id}
	rec, err := s.Store.Get(ctx, p, records.Pw)
	if errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
		return nil, refusal.New(resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	}
	if err != nil {
		return nil, err
	}
	if a.pw, err = records.ParsePassword(rec.Value); err != nil {
		return nil, err
	}
	a.rev = rec.Rev
	if rec, err = s.Store.Get(ctx, p, records.List); err != nil {
		return nil, err
	}
	if a.list, err = roster.List(rec.Value); err != nil {
		return nil, err
	}
	a.listRev = rec.Rev
	return a, nil
}

// batch begins a change of the account: it holds only if nothing changed since
// the revision, and raises it.
func (a *account) batch(token store.Token) *store.Batch {
	return new(store.Batch).Replace(records.Pw, a.rev, a.pw.Encode(), token, 0)
}

// commit applies a change. A refusal that is not due to an earlier try of the
// same request is a conflict.
func (s *Service) commit(ctx context.Context, id identity.AccountID, b *store.Batch, token store.Token) error {
	p := records.AccountPartition(id)
	// Also where the outcome is unknown: it may have happened.
	defer s.cache.drop(id)
	err := s.Store.Commit(ctx, p, b)
	if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {
		err = s.Store.Commit(ctx, p, b)
	}
	var refused *store.Refused
	if !errors.As(err, &refused) {
		return err
	}
	for _, w := range b.Writes {
		if rec, ok := refused.Find(w.Key); ok && w.Op == store.OpPut && rec.Token == token {
			return nil // an earlier try of this very request
		}
	}
	return refusal.New(resealv1.Reason_REASON_CONFLICT)
}

// revision is the account's revision as it is now, for an answer.
func (s *Service) revision(ctx context.Context, id identity.AccountID) (uint64, error) {
	rec, err := s.Store.Get(ctx, records.AccountPartition(id), records.Pw)
	return rec.Rev, err
}

func (s *Service) fail(ctx context.Context, err error) error {
	return faults.Refuse(ctx, s.Log, "auth", err)
}

// near refuses a time that is too far from the server's.
func (s *Service) near(t identity.Time) error {
	if t.Sub(s.now()).Abs() > MaxSkew {
		return refusal.Clock(s.Now())
	}
	return nil
}

// Lengths of fixed-size fields.
func isLen(b []byte, n int) bool { return len(b) == n }

func checkCapsules(c *resealv1.Capsules) error {
	if n := len(c.GetCapsule()); n == 0 || n > MaxCapsule {
		return refusal.Malformed("capsule")
	}
	if n := len(c.GetCopy()); n == 0 || n > MaxCapsule {
		return refusal.Malformed("capsule copy")
	}
	return nil
}

func shareOf(sh *resealv1.Share) (row [32]byte, s records.Share, err error) {
	if !isLen(sh.GetRow(), 32) || !isLen(sh.GetShareId(), 16) || len(sh.GetSealed()) == 0 || len(sh.Sealed) > MaxSealedShare {
		return row, s, refusal.Malformed("share")
	}
	return [32]byte(sh.Row), records.Share{ID: [16]byte(sh.ShareId), Sealed: sh.Sealed}, nil
}
