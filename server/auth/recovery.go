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
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/store"
)

// StartRecovery makes a session for who shows the recovery authenticator, and
// gives back what the code opens. An unknown handle and a wrong code end alike;
// a wrong code is shown on the account's devices.
func (s *Service) StartRecovery(ctx context.Context, req *resealv1.StartRecoveryRequest) (*resealv1.StartRecoveryResponse, error) {
	h, err := handle.Parse(req.Handle)
	if err != nil || string(h) != req.Handle {
		return nil, refusal.Malformed("handle")
	}
	if !isLen(req.RecoveryAuth, 32) {
		return nil, refusal.Malformed("recovery authenticator")
	}
	if !isLen(req.SessionHash, 32) {
		return nil, refusal.Malformed("session hash")
	}
	if err := checkInstallation(req.Installation); err != nil {
		return nil, err
	}
	if err := s.throttleRecovery(ctx, h, req.Installation); err != nil {
		return nil, err
	}
	resp, err := s.startRecovery(ctx, h, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return resp, nil
}

func (s *Service) startRecovery(ctx context.Context, h handle.Handle, req *resealv1.StartRecoveryRequest) (*resealv1.StartRecoveryResponse, error) {
	failed := refusal.New(resealv1.Reason_REASON_LOGIN_FAILED)
	id, err := s.named(ctx, h)
	if err != nil {
		return nil, err
	}
	if id.IsZero() {
		return nil, cmp.Or(s.readNobody(ctx, h), failed)
	}
	a, err := s.read(ctx, id)
	if refusal.Reason(err) == resealv1.Reason_REASON_UNKNOWN_ACCOUNT {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	if !recovers(a.pw, req.RecoveryAuth) {
		s.Counter.Count("passwords", "recovery_refused")
		// Not before the answer, which would take longer than for a handle that
		// nobody has.
		s.tellOfTry(ctx, a.list, resealv1.AccountNotice_WHAT_RECOVERY_TRIED)
		return nil, failed
	}
	token, err := tokenOf(req)
	if err != nil {
		return nil, err
	}
	session, err := s.newSession(a.pw.Credential)
	if err != nil {
		return nil, err
	}
	b := new(store.Batch).Create(records.SessionKey([32]byte(req.SessionHash)), session.Encode(), token, int64(s.now().Add(UnboundLife)))
	if err := s.commit(ctx, id, b, token); err != nil {
		return nil, err
	}
	if err := s.know(ctx, id, req.Installation); err != nil {
		return nil, err
	}
	return s.recovering(ctx, a)
}

// readNobody reads what [Service.read] does, of an account that does not exist, so
// that a handle that nobody has takes as long as another.
func (s *Service) readNobody(ctx context.Context, h handle.Handle) error {
	p := records.AccountPartition(nobody(h))
	for _, k := range []store.Key{records.Pw, records.List} {
		if _, err := s.Store.Get(ctx, p, k); err != nil && !errors.Is(err, store.ErrAbsent) {
			return err
		}
	}
	return nil
}

func (s *Service) recovering(ctx context.Context, a *account) (*resealv1.StartRecoveryResponse, error) {
	r, err := roster.Read(ctx, s.Store, a.id)
	if err != nil {
		return nil, err
	}
	resp := &resealv1.StartRecoveryResponse{
		AccountId: a.id[:], Revision: a.rev, Credential: a.pw.Credential, Copy: a.pw.Copy, Root: a.pw.Root, List: a.list.Bytes(),
	}
	for _, d := range a.list.List.Devices {
		if c := r.Newest[d.ID]; c != nil {
			resp.Certificates = append(resp.Certificates, c.Bytes())
		}
	}
	return resp, nil
}

// recovers tells, in constant time, whether auth is the account's recovery
// authenticator.
func recovers(pw records.Password, auth []byte) bool {
	sum := sha256.Sum256(auth)
	return len(auth) == 32 && subtle.ConstantTimeCompare(sum[:], pw.Recovery[:]) == 1
}

// renewRecovery puts the next code's records in place of the present one's, on
// the word of the present one. A password alone cannot do that: who has it
// could cut the owner off from the code.
func renewRecovery(pw *records.Password, n *resealv1.NewRecovery) error {
	if !isLen(n.RecoveryAuth, 32) || !isLen(n.RecoveryAuthHash, 32) || !isLen(n.Root, RootSize) {
		return refusal.Malformed("recovery")
	}
	if !recovers(*pw, n.RecoveryAuth) {
		return refusal.New(resealv1.Reason_REASON_PROOF)
	}
	pw.Recovery, pw.Root = [32]byte(n.RecoveryAuthHash), n.Root
	return nil
}

// sessionDevice is the device of a session, zero where there is none.
func (s *Service) sessionDevice(ctx context.Context, id identity.AccountID, hash []byte) (d identity.DeviceID) {
	if len(hash) != 32 {
		return d
	}
	rec, err := s.Store.Get(ctx, records.AccountPartition(id), records.SessionKey([32]byte(hash)))
	if err != nil || rec.Gone() {
		return d
	}
	if session, err := records.ParseSession(rec.Value); err == nil {
		d = session.Device
	}
	return d
}
