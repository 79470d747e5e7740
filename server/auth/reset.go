package auth

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

const (
	// ResetDelay is how long a reset is announced before it may happen: as long
	// as the owner has to cancel what somebody with one of the devices asked for.
	ResetDelay = 24 * time.Hour
	// resetLife is how long it may happen from then on.
	resetLife = 7 * 24 * time.Hour
)

// AskReset announces a reset. The word of one device is enough, which may be a
// stolen one: that is why it waits, and why every device is told.
func (s *Service) AskReset(ctx context.Context, _ *resealv1.AskResetRequest) (*resealv1.AskResetResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Limiter.Allow("password", string(c.Account[:])); err != nil {
		return nil, err
	}
	r, err := s.askReset(ctx, c)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.AskResetResponse{Reset_: pending(r)}, nil
}

func (s *Service) askReset(ctx context.Context, c caller.Caller) (*records.Reset, error) {
	for range 4 { // somebody may ask or cancel in between
		a, err := s.readAs(ctx, c)
		if err != nil {
			return nil, err
		}
		stands, rec, err := s.pendingReset(ctx, a)
		if err != nil {
			return nil, err
		}
		if stands != nil && stands.Device == c.Device {
			// A repeat: the first try may not have told.
			s.tell(ctx, a.list, resetNotice(resealv1.AccountNotice_WHAT_RESET_ASKED, *stands))
			return stands, nil
		}
		now := s.now()
		r := records.Reset{Device: c.Device, Credential: a.pw.Credential, Asked: now, Due: now.Add(ResetDelay)}
		token, err := store.NewToken(s.Rand)
		if err != nil {
			return nil, err
		}
		b, until := new(store.Batch), int64(r.Due.Add(resetLife))
		if rec.Rev > 0 {
			b.Replace(records.ResetKey, rec.Rev, r.Encode(), token, until)
		} else {
			b.Create(records.ResetKey, r.Encode(), token, until)
		}
		err = s.commit(ctx, a.id, b, token)
		switch {
		case err == nil:
			s.Counter.Count("passwords", "reset_asked")
			s.tell(ctx, a.list, resetNotice(resealv1.AccountNotice_WHAT_RESET_ASKED, r))
			return &r, nil
		case refusal.Reason(err) != resealv1.Reason_REASON_CONFLICT:
			return nil, err
		}
	}
	return nil, refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
}

// CancelReset ends an announced reset. Where there is none it does nothing.
func (s *Service) CancelReset(ctx context.Context, _ *resealv1.CancelResetRequest) (*resealv1.CancelResetResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.cancelReset(ctx, c); err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.CancelResetResponse{}, nil
}

func (s *Service) cancelReset(ctx context.Context, c caller.Caller) error {
	for range 4 {
		a, err := s.readAs(ctx, c)
		if err != nil {
			return err
		}
		r, rec, err := s.pendingReset(ctx, a)
		if err != nil || r == nil {
			return err
		}
		token, err := store.NewToken(s.Rand)
		if err != nil {
			return err
		}
		err = s.commit(ctx, a.id, s.endReset(new(store.Batch), rec, token), token)
		switch {
		case err == nil:
			told := notice(resealv1.AccountNotice_WHAT_RESET_CANCELLED, s.now())
			told.Device = c.Device
			s.Counter.Count("passwords", "reset_cancelled")
			s.tell(ctx, a.list, told)
			return nil
		case refusal.Reason(err) != resealv1.Reason_REASON_CONFLICT:
			return err
		}
	}
	return refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
}

// endReset takes a reset's record away, on condition that it stands as it was
// read. Of a cancel and the reset itself, both of which have it in their batch,
// one happens.
func (s *Service) endReset(b *store.Batch, rec store.Record, token store.Token) *store.Batch {
	return b.RevIs(rec.Key, rec.Rev).Gone(rec.Key, token, int64(s.now().Add(resetLife)))
}

// pendingReset reads the account's announced reset; nil where there is none, or
// one that is void. The record is zero where none is stored.
func (s *Service) pendingReset(ctx context.Context, a *account) (*records.Reset, store.Record, error) {
	rec, err := s.Store.Get(ctx, records.AccountPartition(a.id), records.ResetKey)
	if errors.Is(err, store.ErrAbsent) {
		return nil, store.Record{}, nil
	}
	if err != nil || rec.Gone() {
		return nil, rec, err
	}
	r, err := records.ParseReset(rec.Value)
	if err != nil {
		return nil, rec, err
	}
	_, here := a.list.Find(r.Device)
	if !(here || r.Device.IsZero()) || r.Credential != a.pw.Credential || s.now() >= r.Due.Add(resetLife) {
		return nil, rec, nil
	}
	return &r, rec, nil
}

func pending(r *records.Reset) *resealv1.PendingReset {
	if r == nil {
		return nil
	}
	return &resealv1.PendingReset{DeviceId: r.Device[:], AskedMs: uint64(r.Asked), DueMs: uint64(r.Due)}
}

func resetNotice(what resealv1.AccountNotice_What, r records.Reset) records.Notice {
	return records.Notice{What: uint8(what), At: r.Asked, Due: r.Due, Device: r.Device}
}

// dueReset reads the account and its reset, which the caller asked for and may
// make happen now.
func (s *Service) dueReset(ctx context.Context, c caller.Caller) (*account, store.Record, error) {
	a, err := s.readAs(ctx, c)
	if err != nil {
		return nil, store.Record{}, err
	}
	r, rec, err := s.pendingReset(ctx, a)
	switch {
	case err != nil:
		return nil, rec, err
	case r == nil || !mayReset(r, c):
		return nil, rec, refusal.New(resealv1.Reason_REASON_NO_RESET)
	case s.now() < r.Due:
		return nil, rec, refusal.NotDue(r.Due.Sub(s.now()))
	}
	return a, rec, nil
}

// mayReset tells whether a reset is the caller's to make happen: of the device
// that asked, or of the session that showed the operator's code.
func mayReset(r *records.Reset, c caller.Caller) bool {
	if r.Device.IsZero() {
		return r.Session != [32]byte{} && r.Session == c.Session
	}
	return r.Device == c.Device
}

// StartReset answers the registration of the password after the reset.
func (s *Service) StartReset(ctx context.Context, req *resealv1.StartResetRequest) (*resealv1.StartResetResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	a, _, err := s.dueReset(ctx, c)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	resp, err := s.register(a, req.RegistrationRequest)
	if err != nil {
		return nil, err
	}
	return &resealv1.StartResetResponse{RegistrationResponse: resp, Credential: a.pw.Credential}, nil
}

// FinishReset begins the account anew. Everything that the old keys opened is
// replaced in one batch; all shares but that of the device that asked are
// destroyed, and other sessions end.
func (s *Service) FinishReset(ctx context.Context, req *resealv1.FinishResetRequest) (*resealv1.FinishResetResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.checkCredentials(req.OpaqueRecord, req.Capsules, nil); err != nil {
		return nil, err
	}
	if !isLen(req.RecoveryAuthHash, 32) || !isLen(req.RecoveryRoot, RootSize) {
		return nil, refusal.Malformed("recovery")
	}
	if err := checkNextBook(req.Book, req.BaseVersion, "reset"); err != nil {
		return nil, err
	}
	if req.Share == nil || (len(req.DeviceId) != 0 && !isLen(req.DeviceId, len(identity.DeviceID{}))) {
		return nil, refusal.Malformed("reset")
	}
	resp, err := s.finishReset(ctx, c, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return resp, nil
}

func (s *Service) finishReset(ctx context.Context, c caller.Caller, req *resealv1.FinishResetRequest) (*resealv1.FinishResetResponse, error) {
	token, err := tokenOf(req)
	if err != nil {
		return nil, err
	}
	a, err := s.read(ctx, c.Account)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(a.pw.Opaque, req.OpaqueRecord) { // a repeat; the first try may not have told
		s.listChanged(a.id)
		return s.resetNow(ctx, c, a.pw.Credential)
	}
	a, reset, err := s.dueReset(ctx, c)
	if err != nil {
		return nil, err
	}
	if a.rev != req.Revision {
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	row, _, err := shareOf(req.Share)
	if err != nil {
		return nil, err
	}
	device, bind := c.Device, func(session *records.Session) { session.Row = row }
	var cert *identity.SignedCertificate
	if device.IsZero() { // by the operator's code: a new device
		if !isLen(req.DeviceId, len(device)) {
			return nil, refusal.Malformed("device")
		}
		device = identity.DeviceID(req.DeviceId)
		bind = func(session *records.Session) { session.Row, session.Device = row, device }
	} else if len(req.DeviceId) > 0 {
		return nil, refusal.Malformed("device")
	}
	l, err := s.resetList(a, req.List, device, c.Device.IsZero())
	if err != nil {
		return nil, err
	}
	if c.Device.IsZero() {
		if cert, err = s.certified(req.Certified, l, device); err != nil {
			return nil, err
		}
	}
	next := a.pw.Credential + 1
	b, err := s.succession(ctx, a, c, next, nil, bind, token)
	if err != nil {
		return nil, err
	}
	rows := []*resealv1.ShareRow{{DeviceId: device[:], Shares: []*resealv1.Share{req.Share}}}
	if err := s.replaceRows(ctx, b, l, rows, token); err != nil {
		return nil, err
	}
	old, err := s.replaceBook(ctx, b, a.id, req.BaseVersion, req.Book, token)
	if err != nil {
		return nil, err
	}
	a.pw.Credential, a.pw.Opaque = next, req.OpaqueRecord
	a.pw.Capsule, a.pw.Copy = req.Capsules.Capsule, req.Capsules.Copy
	a.pw.Recovery, a.pw.Root = [32]byte(req.RecoveryAuthHash), req.RecoveryRoot
	b.Replace(records.Pw, a.rev, a.pw.Encode(), token, 0)
	s.putList(b, a, l, token)
	if cert != nil {
		putCertificate(b, cert)
	}
	if err := s.commit(ctx, a.id, s.endReset(b, reset, token), token); err != nil {
		return nil, err
	}
	s.listChanged(a.id)
	s.Counter.Count("passwords", "reset")
	told := notice(resealv1.AccountNotice_WHAT_RESET, s.now())
	told.Device = device
	s.tell(ctx, l, told)
	if err := s.sweepParts(ctx, a.id, old); err != nil {
		s.Log.WarnContext(ctx, "auth: parts of the old book were left", "error", err)
	}
	return s.resetNow(ctx, c, next)
}

// resetNow is the answer, read back: a repeat gets the session share too.
func (s *Service) resetNow(ctx context.Context, c caller.Caller, credential uint64) (*resealv1.FinishResetResponse, error) {
	now, err := s.rotatedNow(ctx, c, credential)
	if err != nil {
		return nil, err
	}
	return &resealv1.FinishResetResponse{Revision: now.Revision, Credential: now.Credential, SessionShare: now.SessionShare}, nil
}

// resetList checks that a list comes after the present one, under a key that
// nothing vouches for, with one device: as it stood or, by the operator's code,
// one that was not there.
func (s *Service) resetList(a *account, b []byte, device identity.DeviceID, fresh bool) (*identity.SignedList, error) {
	l, err := identity.ParseSignedList(b)
	if err != nil {
		return nil, refusal.Malformed("device list")
	}
	if l.List.Account != a.id || l.List.Version != a.list.List.Version+1 || l.List.Prev != a.list.Hash() {
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	if _, err := identity.PinOf(a.list).Follow(l); !errors.Is(err, identity.ErrKeyChanged) || l.Rotation() {
		return nil, refusal.New(resealv1.Reason_REASON_PROOF)
	}
	was, stood := a.list.Find(device)
	if len(l.List.Devices) != 1 || l.List.Devices[0].ID != device || stood == fresh || (stood && l.List.Devices[0] != was) {
		return nil, refusal.Malformed("device list")
	}
	return l, s.near(l.List.IssuedAt)
}
