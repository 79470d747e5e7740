package auth

import (
	"bytes"
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// fresh returns the caller of what only the password, or the recovery code,
// may do. A login makes a session that is bound to no device for an hour at
// most; a bound one may be weeks old, and its device in other hands.
func fresh(ctx context.Context) (caller.Caller, error) {
	c, err := caller.From(ctx)
	if err == nil && !c.Device.IsZero() {
		err = refusal.New(resealv1.Reason_REASON_PROOF)
	}
	return c, err
}

// readAs reads the caller's account for a change of it. What a session of an
// older credential number writes is sealed under keys that have gone, and
// would lock the account: a change of the password ends such a session, but
// another node may believe it a little longer.
func (s *Service) readAs(ctx context.Context, c caller.Caller) (*account, error) {
	a, err := s.read(ctx, c.Account)
	if err != nil || a.pw.Credential == c.Credential {
		return a, err
	}
	now, err := s.lookup(ctx, c.Account, c.Session)
	if err != nil {
		return nil, err
	}
	if now.Credential != a.pw.Credential {
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	return a, nil
}

// shareRow is a row of shares as it stands.
type shareRow struct {
	rec store.Record
	row [32]byte
	records.Shares
}

// all are the row's shares: the one that is confirmed, then the new one.
func (r *shareRow) all() []*records.Share {
	if r.New == nil {
		return []*records.Share{&r.Opened}
	}
	return []*records.Share{&r.Opened, r.New}
}

// shareRows reads every row of the account.
func (s *Service) shareRows(ctx context.Context, id identity.AccountID) (rows []*shareRow, err error) {
	for rec, err := range store.Scan(ctx, s.Store, records.AccountPartition(id), records.SharesAll, store.PrefixEnd(records.SharesAll), false) {
		if err != nil {
			return nil, err
		}
		if rec.Gone() {
			continue
		}
		sh, err := records.ParseShares(rec.Value)
		if err != nil {
			return nil, err
		}
		rows = append(rows, &shareRow{rec, [32]byte([]byte(rec.Key[len(records.SharesAll):])), sh})
	}
	return rows, nil
}

// ListShares returns the shares of all rows. They are sealed under K_share,
// which the password brings: without it they are of no use.
func (s *Service) ListShares(ctx context.Context, _ *resealv1.ListSharesRequest) (*resealv1.ListSharesResponse, error) {
	c, err := fresh(ctx)
	if err != nil {
		return nil, err
	}
	// The revision first: where rows change meanwhile, it is an old one, and
	// what is made from them is refused.
	rev, err := s.revision(ctx, c.Account)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	rows, err := s.shareRows(ctx, c.Account)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	resp := &resealv1.ListSharesResponse{Revision: rev}
	for _, r := range rows {
		row := &resealv1.ShareRow{DeviceId: r.Device[:]}
		for _, sh := range r.all() {
			row.Shares = append(row.Shares, &resealv1.Share{Row: r.row[:], ShareId: sh.ID[:], Sealed: sh.Sealed})
		}
		resp.Rows = append(resp.Rows, row)
	}
	return resp, nil
}

// StartPasswordChange answers the registration of the account's next password,
// for those who have the password or the recovery code.
func (s *Service) StartPasswordChange(ctx context.Context, req *resealv1.StartPasswordChangeRequest) (*resealv1.StartPasswordChangeResponse, error) {
	c, err := fresh(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.readAs(ctx, c)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	resp, err := s.register(a, req.RegistrationRequest)
	if err != nil {
		return nil, err
	}
	return &resealv1.StartPasswordChangeResponse{RegistrationResponse: resp}, nil
}

// register answers the registration of an account's next password, for whoever
// has shown that he may give it one. It evaluates the account's OPRF, as a login
// does, but has a bucket of its own by account, which logins begun by strangers
// do not touch.
func (s *Service) register(a *account, request []byte) ([]byte, error) {
	if err := s.Limiter.Allow("password", string(a.id[:])); err != nil {
		return nil, err
	}
	resp, err := s.Opaque.Register(handle.Handle(a.pw.Handle), request)
	if err != nil {
		return nil, refusal.Malformed("registration request")
	}
	return resp, nil
}

// ChangePassword replaces everything that the old password opened, in one
// batch: afterwards the new one opens all of it, or the old one still does.
func (s *Service) ChangePassword(ctx context.Context, req *resealv1.ChangePasswordRequest) (*resealv1.ChangePasswordResponse, error) {
	c, err := fresh(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.checkCredentials(req.OpaqueRecord, req.Capsules, req.KeepSession); err != nil {
		return nil, err
	}
	resp, err := s.changePassword(ctx, c, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return resp, nil
}

func (s *Service) checkCredentials(record []byte, c *resealv1.Capsules, keep []byte) error {
	if s.Opaque.CheckRecord(record) != nil {
		return refusal.Malformed("password record")
	}
	if len(keep) != 0 && !isLen(keep, 32) {
		return refusal.Malformed("session")
	}
	return checkCapsules(c)
}

func (s *Service) changePassword(ctx context.Context, c caller.Caller, req *resealv1.ChangePasswordRequest) (*resealv1.ChangePasswordResponse, error) {
	token, err := tokenOf(req)
	if err != nil {
		return nil, err
	}
	a, err := s.read(ctx, c.Account)
	if err != nil {
		return nil, err
	}
	// A record is made with fresh randomness: where it stands, an earlier try
	// of this very request put it there, whatever changed since.
	if bytes.Equal(a.pw.Opaque, req.OpaqueRecord) {
		s.changed(a.id)
		return &resealv1.ChangePasswordResponse{Revision: a.rev, Credential: a.pw.Credential}, nil
	}
	if a, err = s.readAs(ctx, c); err != nil {
		return nil, err
	}
	if a.rev != req.Revision {
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	next := a.pw.Credential + 1
	b, err := s.succession(ctx, a, c, next, req.KeepSession, nil, token)
	if err != nil {
		return nil, err
	}
	rows, err := s.shareRows(ctx, a.id)
	if err != nil {
		return nil, err
	}
	if err := resealed(b, rows, req.Shares, token); err != nil {
		return nil, err
	}
	told := notice(resealv1.AccountNotice_WHAT_PASSWORD_CHANGED, s.now())
	if req.Recovery != nil {
		if err := renewRecovery(&a.pw, req.Recovery); err != nil {
			return nil, err
		}
		told.What = uint8(resealv1.AccountNotice_WHAT_RECOVERED)
	}
	told.Device = s.sessionDevice(ctx, a.id, req.KeepSession)
	a.pw.Credential, a.pw.Opaque = next, req.OpaqueRecord
	a.pw.Capsule, a.pw.Copy = req.Capsules.Capsule, req.Capsules.Copy
	b.Replace(records.Pw, a.rev, a.pw.Encode(), token, 0)
	if err := s.commit(ctx, a.id, b, token); err != nil {
		return nil, err
	}
	s.changed(a.id)
	s.Counter.Count("passwords", map[bool]string{true: "recovered", false: "changed"}[req.Recovery != nil])
	s.tell(ctx, a.list, told)
	rev, err := s.revision(ctx, a.id)
	return &resealv1.ChangePasswordResponse{Revision: rev, Credential: next}, err
}

// succession begins a batch that raises the credential number, which ends all
// sessions but the two that it carries over: the caller's, so that a repeat is
// heard, and the one that the caller names. bind, if any, changes the caller's.
func (s *Service) succession(ctx context.Context, a *account, c caller.Caller, next uint64, keep []byte, bind func(*records.Session), token store.Token) (*store.Batch, error) {
	b := new(store.Batch)
	hashes := [][32]byte{c.Session}
	if len(keep) > 0 && [32]byte(keep) != c.Session {
		hashes = append(hashes, [32]byte(keep))
	}
	for i, hash := range hashes {
		rec, err := s.Store.Get(ctx, records.AccountPartition(a.id), records.SessionKey(hash))
		if errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
			if i == 0 {
				return nil, refusal.New(resealv1.Reason_REASON_SESSION_ENDED)
			}
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		session, err := records.ParseSession(rec.Value)
		if err != nil {
			return nil, err
		}
		// Nothing comes back to life: an older number, a device that left.
		_, here := a.list.Find(session.Device)
		if session.Credential != a.pw.Credential || (i > 0 && !here) {
			continue
		}
		session.Credential = next
		if i == 0 && bind != nil {
			bind(&session)
		}
		life := SessionLife
		if session.Device.IsZero() {
			life = UnboundLife
		}
		b.Replace(rec.Key, rec.Rev, session.Encode(), token, int64(s.now().Add(life)))
	}
	return b, nil
}

// resealed puts every share of every row sealed anew. The request must have all
// of them and no other: a share left out would be sealed under a key that
// nobody has any more.
func resealed(b *store.Batch, rows []*shareRow, sealed []*resealv1.Share, token store.Token) error {
	type name struct {
		row [32]byte
		id  [16]byte
	}
	given := map[name][]byte{}
	for _, sh := range sealed {
		row, one, err := shareOf(sh)
		if err != nil {
			return err
		}
		given[name{row, one.ID}] = one.Sealed
	}
	n := 0
	for _, r := range rows {
		for _, sh := range r.all() {
			v, ok := given[name{r.row, sh.ID}]
			if !ok {
				return refusal.Malformed("shares")
			}
			sh.Sealed = v
			n++
		}
		b.Replace(r.rec.Key, r.rec.Rev, r.Encode(), token, 0)
	}
	if n != len(sealed) {
		return refusal.Malformed("shares")
	}
	return nil
}
