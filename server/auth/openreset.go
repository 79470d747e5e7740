package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/store"
)

// resetRow is in the place of a row in a session that an operator's code made.
var resetRow = sha256.Sum256([]byte("reseal/1 session of a reset"))

// OperatorReset announces a reset in the operator's name, in the place of any
// other: who shows the code that hashes so can make it happen when it is due.
// All devices are told, and each can cancel it.
func (s *Service) OperatorReset(ctx context.Context, id identity.AccountID, code [32]byte) (due, ends identity.Time, err error) {
	now := s.now()
	r := records.Reset{Code: code, Asked: now, Due: now.Add(ResetDelay)}
	err = s.closeRepeatedly(ctx, func() error {
		a, err := s.read(ctx, id)
		if err != nil {
			return err
		}
		_, rec, err := s.pendingReset(ctx, a)
		if err != nil {
			return err
		}
		token, err := store.NewToken(s.Rand)
		if err != nil {
			return err
		}
		r.Credential = a.pw.Credential
		b, until := new(store.Batch), int64(r.Due.Add(resetLife))
		if rec.Rev > 0 {
			b.Replace(records.ResetKey, rec.Rev, r.Encode(), token, until)
		} else {
			b.Create(records.ResetKey, r.Encode(), token, until)
		}
		if err := s.commit(ctx, id, b, token); err != nil {
			return err
		}
		s.Counter.Count("passwords", "reset_asked")
		s.tell(ctx, a.list, resetNotice(resealv1.AccountNotice_WHAT_RESET_ASKED, r))
		return nil
	})
	if err != nil {
		return 0, 0, s.fail(ctx, err)
	}
	return r.Due, r.Due.Add(resetLife), nil
}

// OperatorCancelReset does for the operator what CancelReset does for a device.
func (s *Service) OperatorCancelReset(ctx context.Context, id identity.AccountID) error {
	a, err := s.read(ctx, id)
	if err == nil {
		err = s.cancelReset(ctx, caller.Caller{Account: id, Credential: a.pw.Credential})
	}
	if err != nil {
		return s.fail(ctx, err)
	}
	return nil
}

// OpenReset makes a session for who shows the code of a reset that the operator
// announced and that is due. It alone can finish the reset: a later one by the
// same code takes its place. An unknown handle, an account without such a reset
// and a wrong code end alike; a wrong code is shown on the account's devices, and
// the account knows the installation of the right one.
func (s *Service) OpenReset(ctx context.Context, req *resealv1.OpenResetRequest) (*resealv1.OpenResetResponse, error) {
	h, err := handle.Parse(req.Handle)
	if err != nil || string(h) != req.Handle {
		return nil, refusal.Malformed("handle")
	}
	code, err := invite.Of(req.Code)
	if err != nil {
		return nil, refusal.Malformed("code")
	}
	if !isLen(req.SessionHash, 32) || [32]byte(req.SessionHash) == [32]byte{} {
		return nil, refusal.Malformed("session hash")
	}
	if err := checkInstallation(req.Installation); err != nil {
		return nil, err
	}
	if err := s.throttleRecovery(ctx, h, req.Installation); err != nil {
		return nil, err
	}
	resp, err := s.openReset(ctx, h, code.Hash(), req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return resp, nil
}

func (s *Service) openReset(ctx context.Context, h handle.Handle, code [32]byte, req *resealv1.OpenResetRequest) (*resealv1.OpenResetResponse, error) {
	failed := refusal.New(resealv1.Reason_REASON_LOGIN_FAILED)
	id, err := s.named(ctx, h)
	if err != nil {
		return nil, err
	}
	if id.IsZero() {
		_, err := s.Store.Get(ctx, records.AccountPartition(nobody(h)), records.ResetKey)
		if errors.Is(err, store.ErrAbsent) {
			err = nil
		}
		return nil, cmp.Or(s.readNobody(ctx, h), err, failed)
	}
	a, err := s.read(ctx, id)
	if refusal.Reason(err) == resealv1.Reason_REASON_UNKNOWN_ACCOUNT {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	r, rec, err := s.pendingReset(ctx, a)
	if err != nil {
		return nil, err
	}
	if r == nil || !r.Device.IsZero() {
		return nil, failed
	}
	if subtle.ConstantTimeCompare(r.Code[:], code[:]) != 1 {
		s.Counter.Count("passwords", "reset_refused")
		// As for a wrong recovery code, and only while a right one exists.
		s.tellOfTry(ctx, a.list, resealv1.AccountNotice_WHAT_RESET_TRIED)
		return nil, failed
	}
	if s.now() < r.Due {
		return nil, refusal.NotDue(r.Due.Sub(s.now()))
	}
	hash := [32]byte(req.SessionHash)
	if r.Session != hash { // else a repeat
		token, err := tokenOf(req)
		if err != nil {
			return nil, err
		}
		session, err := s.newSession(a.pw.Credential)
		if err != nil {
			return nil, err
		}
		session.Row, r.Session = resetRow, hash
		b := new(store.Batch).
			Create(records.SessionKey(hash), session.Encode(), token, int64(s.now().Add(UnboundLife))).
			Replace(rec.Key, rec.Rev, r.Encode(), token, rec.Expires)
		if err := s.commit(ctx, id, b, token); err != nil {
			return nil, err
		}
	}
	if err := s.know(ctx, id, req.Installation); err != nil {
		return nil, err
	}
	return &resealv1.OpenResetResponse{AccountId: id[:], Revision: a.rev, Credential: a.pw.Credential, List: a.list.Bytes()}, nil
}
