package auth

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/store"
)

// StartLogin answers KE1. A handle that nobody has gets the same answer from
// the same work, so that handles cannot be told apart.
func (s *Service) StartLogin(ctx context.Context, req *resealv1.StartLoginRequest) (*resealv1.StartLoginResponse, error) {
	h, err := handle.Parse(req.Handle)
	if err != nil || string(h) != req.Handle {
		return nil, refusal.Malformed("handle")
	}
	if err := checkInstallation(req.Installation); err != nil {
		return nil, err
	}
	if err := s.throttle(ctx, h, req.Installation, "login_known", func() error {
		if err := s.Limiter.Allow("login", peer(ctx)); err != nil {
			return err
		}
		if err := s.Limiter.Allow("login_handle", string(h)+"@"+peer(ctx)); err != nil {
			return err
		}
		return s.Limiter.Allow("login_handle_all", string(h))
	}); err != nil {
		return nil, err
	}
	known, err := s.knownFor(ctx, h)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	ke2, state, err := s.Opaque.StartLogin(s.Rand, h, known, req.Ke1, s.now())
	if errors.Is(err, opaque.ErrMessage) {
		return nil, refusal.Malformed("ke1")
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.StartLoginResponse{Ke2: ke2, State: state}, nil
}

// knownFor reads what a login at a handle is answered from. For a handle that
// nobody has it reads a partition that does not exist, to take as long.
func (s *Service) knownFor(ctx context.Context, h handle.Handle) (*opaque.Known, error) {
	id, err := s.named(ctx, h)
	if err != nil {
		return nil, err
	}
	unknown := id.IsZero()
	if unknown {
		id = nobody(h)
	}
	rec, err := s.Store.Get(ctx, records.AccountPartition(id), records.Pw)
	if unknown || errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pw, err := records.ParsePassword(rec.Value)
	if err != nil {
		return nil, err
	}
	return &opaque.Known{Account: id, Credential: pw.Credential, Record: pw.Opaque}, nil
}

// nobody is an account that does not exist, one for each handle.
func nobody(h handle.Handle) identity.AccountID {
	sum := sha256.Sum256([]byte("nobody\x00" + h))
	return identity.AccountID(sum[:16])
}

// FinishLogin takes KE3 and makes the session, not bound to a device yet.
func (s *Service) FinishLogin(ctx context.Context, req *resealv1.FinishLoginRequest) (*resealv1.FinishLoginResponse, error) {
	if !isLen(req.SessionHash, 32) {
		return nil, refusal.Malformed("session hash")
	}
	if err := checkInstallation(req.Installation); err != nil {
		return nil, err
	}
	st, err := s.Opaque.FinishLogin(req.State, req.Ke3, opaque.SessionHash(req.SessionHash), s.now())
	if err != nil {
		s.Counter.Count("logins", "failed")
		return nil, refusal.New(resealv1.Reason_REASON_LOGIN_FAILED)
	}
	resp, err := s.finishLogin(ctx, st, [32]byte(req.SessionHash))
	if err == nil {
		err = s.know(ctx, st.Account, req.Installation)
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Counter.Count("logins", "done")
	return resp, nil
}

func (s *Service) finishLogin(ctx context.Context, st opaque.LoginState, hash [32]byte) (*resealv1.FinishLoginResponse, error) {
	a, err := s.read(ctx, st.Account)
	if err != nil {
		return nil, err
	}
	if a.pw.Credential != st.Credential {
		// The password changed between KE2 and KE3.
		return nil, refusal.New(resealv1.Reason_REASON_LOGIN_FAILED)
	}
	session, err := s.newSession(st.Credential)
	if err != nil {
		return nil, err
	}
	token := store.Token(st.ID[:16])
	// No condition on pw: if the password changes now, the session is dead by
	// its credential number, and another device's change must not fail a login.
	b := new(store.Batch).Create(records.SessionKey(hash), session.Encode(), token, int64(s.now().Add(UnboundLife)))
	if err := s.commit(ctx, st.Account, b, token); err != nil {
		return nil, err
	}
	return s.loggedIn(ctx, a)
}

func (s *Service) loggedIn(ctx context.Context, a *account) (*resealv1.FinishLoginResponse, error) {
	r, err := roster.Read(ctx, s.Store, a.id)
	if err != nil {
		return nil, err
	}
	resp := &resealv1.FinishLoginResponse{
		AccountId: a.id[:], Revision: a.rev, Credential: a.pw.Credential, List: a.list.Bytes(),
		Capsules: &resealv1.Capsules{Capsule: a.pw.Capsule, Copy: a.pw.Copy},
	}
	for _, d := range a.list.List.Devices {
		if c := r.Newest[d.ID]; c != nil {
			resp.Certificates = append(resp.Certificates, c.Bytes())
		}
	}
	return resp, nil
}
