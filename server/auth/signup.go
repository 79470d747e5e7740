package auth

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// ServerInfo tells what a client wants to know before anything else.
func (s *Service) ServerInfo(context.Context, *resealv1.ServerInfoRequest) (*resealv1.ServerInfoResponse, error) {
	return &resealv1.ServerInfoResponse{
		Version: s.Version, ServerTimeMs: uint64(s.now()), MaxCiphertext: s.MaxCiphertext, PartSize: s.PartSize, Signup: s.Signup,
	}, nil
}

// peer is the address that a call comes from, without the port, for limits.
func peer(ctx context.Context) string {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return ""
	}
	return hostOf(info.PeerAddr)
}

// StartSignup answers the OPAQUE registration of a handle that nobody has.
func (s *Service) StartSignup(ctx context.Context, req *resealv1.StartSignupRequest) (*resealv1.StartSignupResponse, error) {
	if s.Signup == resealv1.Signup_SIGNUP_CLOSED {
		return nil, refusal.New(resealv1.Reason_REASON_SIGNUP_CLOSED)
	}
	if err := s.Limiter.Allow("signup", peer(ctx)); err != nil {
		return nil, err
	}
	h, err := handle.Parse(req.Handle)
	if err != nil || string(h) != req.Handle || !isLen(req.AccountId, 16) {
		return nil, refusal.Malformed("handle")
	}
	// First, because it may finish the sign-up of the very same person.
	if err := s.admit(ctx, req.Invite, identity.AccountID(req.AccountId)); err != nil {
		return nil, s.fail(ctx, err)
	}
	if taken, err := s.taken(ctx, h); err != nil {
		return nil, s.fail(ctx, err)
	} else if taken {
		// Not even for the account's own id, which others know: the answer
		// would evaluate its OPRF past the limits on logins.
		return nil, refusal.New(resealv1.Reason_REASON_HANDLE_TAKEN)
	}
	resp, err := s.Opaque.Register(h, req.RegistrationRequest)
	if err != nil {
		return nil, refusal.Malformed("registration request")
	}
	return &resealv1.StartSignupResponse{RegistrationResponse: resp}, nil
}

// taken tells whether a handle names an account, or is held back after one.
func (s *Service) taken(ctx context.Context, h handle.Handle) (bool, error) {
	_, err := s.Store.Get(ctx, records.HandlePartition(string(h)), records.HandleID)
	if errors.Is(err, store.ErrAbsent) {
		return false, nil
	}
	return err == nil, err
}

// named is the account that a handle names, zero for none.
func (s *Service) named(ctx context.Context, h handle.Handle) (identity.AccountID, error) {
	rec, err := s.Store.Get(ctx, records.HandlePartition(string(h)), records.HandleID)
	if errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
		return identity.AccountID{}, nil
	}
	if err != nil {
		return identity.AccountID{}, err
	}
	return records.ParseAccount(rec.Value)
}

// FinishSignup makes the account: its records first, then the invite is used if
// it takes one, then its handle. An account without a handle is unreachable and
// harmless; a repeat with the same bytes finishes it.
func (s *Service) FinishSignup(ctx context.Context, req *resealv1.FinishSignupRequest) (*resealv1.FinishSignupResponse, error) {
	if s.Signup == resealv1.Signup_SIGNUP_CLOSED {
		return nil, refusal.New(resealv1.Reason_REASON_SIGNUP_CLOSED)
	}
	if err := s.Limiter.Allow("signup", peer(ctx)); err != nil {
		return nil, err
	}
	resp, err := s.finishSignup(ctx, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Counter.Count("signups", "")
	return resp, nil
}

func (s *Service) finishSignup(ctx context.Context, req *resealv1.FinishSignupRequest) (*resealv1.FinishSignupResponse, error) {
	h, err := handle.Parse(req.Handle)
	if err != nil || string(h) != req.Handle {
		return nil, refusal.Malformed("handle")
	}
	id, err := s.checkSignup(req)
	if err != nil {
		return nil, err
	}
	if err := s.admit(ctx, req.Invite, id); err != nil {
		return nil, err
	}
	if taken, err := s.named(ctx, h); err != nil {
		return nil, err
	} else if held, err := s.taken(ctx, h); err != nil {
		return nil, err
	} else if held && taken != id {
		return nil, refusal.New(resealv1.Reason_REASON_HANDLE_TAKEN)
	}
	token, err := tokenOf(req)
	if err != nil {
		return nil, err
	}
	made, err := s.made(ctx, id, req.SessionHash, token)
	if err != nil {
		return nil, err
	}
	if !made {
		b, err := s.firstRecords(req, id, h, token)
		if err != nil {
			return nil, err
		}
		if err := s.commit(ctx, id, b, token); err != nil {
			return nil, err
		}
	}
	if err := s.useInvite(ctx, req.Invite, id, token); err != nil {
		return nil, err
	}
	if err := s.nameAccount(ctx, h, id, token); err != nil {
		return nil, err
	}
	if err := s.know(ctx, id, req.Installation); err != nil {
		return nil, err
	}
	return s.signedUp(ctx, id, [32]byte(req.SessionHash))
}

// made tells whether an earlier try of this very request made the account; then
// only its handle may be missing. What had to be fresh then (times, challenge)
// need not be any more.
func (s *Service) made(ctx context.Context, id identity.AccountID, session []byte, token store.Token) (bool, error) {
	for _, k := range []store.Key{records.Pw, records.SessionKey([32]byte(session))} {
		rec, err := s.Store.Get(ctx, records.AccountPartition(id), k)
		if err != nil && !errors.Is(err, store.ErrAbsent) {
			return false, err
		}
		if err == nil && rec.Token == token {
			return true, nil
		}
	}
	return false, nil
}

// checkSignup checks the form of everything, and what the account signed.
func (s *Service) checkSignup(req *resealv1.FinishSignupRequest) (id identity.AccountID, err error) {
	switch {
	case !isLen(req.AccountId, 16):
		return id, refusal.Malformed("account id")
	case !isLen(req.SessionHash, 32):
		return id, refusal.Malformed("session hash")
	case checkInstallation(req.Installation) != nil:
		return id, refusal.Malformed("installation")
	case !isLen(req.RecoveryAuthHash, 32):
		return id, refusal.Malformed("recovery hash")
	case !isLen(req.RecoveryRoot, RootSize):
		return id, refusal.Malformed("recovery root")
	case s.Opaque.CheckRecord(req.OpaqueRecord) != nil:
		return id, refusal.Malformed("password record")
	}
	if err := checkCapsules(req.Capsules); err != nil {
		return id, err
	}
	if err := checkBook(req.Book); err != nil {
		return id, err
	}
	if len(req.Book.GetParts()) > maxFirstParts {
		return id, refusal.Limit("book")
	}
	return identity.AccountID(req.AccountId), nil
}

// firstRecords is the batch that makes an account.
func (s *Service) firstRecords(req *resealv1.FinishSignupRequest, id identity.AccountID, h handle.Handle, token store.Token) (*store.Batch, error) {
	l, err := identity.ParseSignedList(req.List)
	if err != nil || l.List.Account != id || l.List.Version != 1 || l.Rotation() || len(l.List.Devices) != 1 {
		return nil, refusal.Malformed("device list")
	}
	if err := s.near(l.List.IssuedAt); err != nil {
		return nil, err
	}
	device := l.List.Devices[0].ID
	cert, err := s.certified(req.Certified, l, device)
	if err != nil {
		return nil, err
	}
	row, share, err := shareOf(req.Share)
	if err != nil {
		return nil, err
	}
	session, err := s.newSession(1)
	if err != nil {
		return nil, err
	}
	session.Device, session.Row = device, row
	pw := records.Password{
		Credential: 1, Opaque: req.OpaqueRecord, Capsule: req.Capsules.Capsule, Copy: req.Capsules.Copy,
		Recovery: [32]byte(req.RecoveryAuthHash), Root: req.RecoveryRoot, Handle: string(h),
	}
	b := new(store.Batch).
		Create(records.Pw, pw.Encode(), token, 0).
		Create(records.List, req.List, token, 0).
		Create(records.ShareKey(row), records.Shares{Device: device, Opened: share}.Encode(), token, 0).
		Create(records.SessionKey([32]byte(req.SessionHash)), session.Encode(), token, int64(s.now().Add(SessionLife))).
		PutOnce(records.ListKey(1), req.List, int64(s.now().Add(listKept)))
	putCertificate(b, cert)
	if n := len(req.Book.GetParts()); n > 0 {
		writer, err := s.newWriter()
		if err != nil {
			return nil, err
		}
		head := records.BookHead{Version: req.Book.Version, Parts: uint16(n), Writer: writer}
		b.Create(records.Book, head.Encode(), token, 0)
		for i, part := range req.Book.Parts {
			b.PutOnce(records.PartKey(writer, i), part, 0)
		}
	}
	return b, nil
}

func putCertificate(b *store.Batch, c *identity.SignedCertificate) {
	b.PutOnce(records.CertKey(c.Certificate.Device, c.Certificate.Epoch), c.Bytes(), certExpires(c))
}

func certExpires(c *identity.SignedCertificate) int64 {
	return int64(c.Certificate.NotAfter.Add(certKept))
}

// nameAccount lets the handle name the account, if it names nobody else.
func (s *Service) nameAccount(ctx context.Context, h handle.Handle, id identity.AccountID, token store.Token) error {
	p := records.HandlePartition(string(h))
	b := new(store.Batch).Create(records.HandleID, records.EncodeAccount(id), token, 0)
	err := s.Store.Commit(ctx, p, b)
	if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {
		err = s.Store.Commit(ctx, p, b)
	}
	var refused *store.Refused
	if !errors.As(err, &refused) {
		return err
	}
	if rec, ok := refused.Find(records.HandleID); ok && string(rec.Value) == string(records.EncodeAccount(id)) {
		return nil
	}
	return refusal.New(resealv1.Reason_REASON_HANDLE_TAKEN)
}

// signedUp is the answer, read back: a repeat gets the session share that the
// first try made.
func (s *Service) signedUp(ctx context.Context, id identity.AccountID, hash [32]byte) (*resealv1.FinishSignupResponse, error) {
	rec, err := s.Store.Get(ctx, records.AccountPartition(id), records.SessionKey(hash))
	if err != nil {
		return nil, err
	}
	session, err := records.ParseSession(rec.Value)
	if err != nil {
		return nil, err
	}
	rev, err := s.revision(ctx, id)
	if err != nil {
		return nil, err
	}
	return &resealv1.FinishSignupResponse{Revision: rev, SessionShare: session.Share[:]}, nil
}
