package auth

import (
	"context"
	"errors"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/store"
)

// inviteKept is how long a used invite outlives its end: for repeats of the
// request that used it, and for who presents it again.
const inviteKept = 30 * 24 * time.Hour

// Every reason why a code is no good looks alike.
func notInvited() error { return refusal.New(resealv1.Reason_REASON_INVITE) }

// admit refuses a sign-up where this server takes nobody, or not this one.
func (s *Service) admit(ctx context.Context, code []byte, id identity.AccountID) error {
	switch s.Signup {
	case resealv1.Signup_SIGNUP_OPEN:
		return nil
	case resealv1.Signup_SIGNUP_INVITE:
		_, _, err := s.goodInvite(ctx, code, id)
		return err
	}
	return refusal.New(resealv1.Reason_REASON_SIGNUP_CLOSED)
}

// goodInvite reads an invite that an account may use, or has used. A mark of
// another account whose handle belongs to somebody else is void.
func (s *Service) goodInvite(ctx context.Context, code []byte, id identity.AccountID) (rec store.Record, i records.Invite, err error) {
	c, err := invite.Of(code)
	if err != nil {
		return rec, i, notInvited()
	}
	rec, err = s.Store.Get(ctx, records.InvitePartition, records.InviteKey(c.Hash()))
	if errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
		return rec, i, notInvited()
	}
	if err != nil {
		return rec, i, err
	}
	if i, err = records.ParseInvite(rec.Value); err != nil {
		return rec, i, err
	}
	if i.Used && i.Account == id {
		return rec, i, nil
	}
	if i.Used {
		stands, err := s.settle(ctx, i)
		if err != nil {
			return rec, i, err
		}
		if stands {
			return rec, i, notInvited()
		}
	}
	if s.now() >= i.End {
		return rec, i, notInvited()
	}
	return rec, i, nil
}

// settle finishes what a crash may have left of the sign-up that used an invite,
// and tells whether its account stands. An account that is gone was closed: its
// records were there before the mark.
func (s *Service) settle(ctx context.Context, i records.Invite) (stands bool, err error) {
	a, err := s.read(ctx, i.Account)
	if refusal.Reason(err) == resealv1.Reason_REASON_UNKNOWN_ACCOUNT {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	token, err := store.NewToken(s.Rand)
	if err != nil {
		return false, err
	}
	err = s.nameAccount(ctx, handle.Handle(a.pw.Handle), i.Account, token)
	if refusal.Reason(err) == resealv1.Reason_REASON_HANDLE_TAKEN {
		return false, nil
	}
	return err == nil, err
}

// useInvite marks the invite as used by an account whose records are made, under
// the condition that it is what was read: of two accounts one gets it. If we
// crash after it, the account has the invite and settle finishes the rest.
func (s *Service) useInvite(ctx context.Context, code []byte, id identity.AccountID, token store.Token) error {
	if s.Signup != resealv1.Signup_SIGNUP_INVITE {
		return nil
	}
	for range 4 { // somebody else may have tried in between
		rec, i, err := s.goodInvite(ctx, code, id)
		if err != nil || (i.Used && i.Account == id) {
			return err
		}
		used := records.Invite{End: i.End, Used: true, Account: id}
		b := new(store.Batch).Replace(rec.Key, rec.Rev, used.Encode(), token, int64(i.End.Add(inviteKept)))
		err = s.Store.Commit(ctx, records.InvitePartition, b)
		if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {
			err = s.Store.Commit(ctx, records.InvitePartition, b)
		}
		var refused *store.Refused
		if !errors.As(err, &refused) {
			return err
		}
	}
	return refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
}
