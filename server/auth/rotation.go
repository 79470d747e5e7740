package auth

import (
	"bytes"
	"context"
	"slices"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// Rotate hands the account over to its next key. Everything that was opened by
// what may be in somebody else's hands is replaced in one batch: list,
// password record, capsule, copy, recovery, shares, and the book's head; what
// is not named in it is destroyed, and other sessions end.
func (s *Service) Rotate(ctx context.Context, req *resealv1.RotateRequest) (*resealv1.RotateResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.DeviceId) != 0 && !isLen(req.DeviceId, len(identity.DeviceID{})) {
		return nil, refusal.Malformed("device")
	}
	if err := s.checkCredentials(req.OpaqueRecord, req.Capsules, req.KeepSession); err != nil {
		return nil, err
	}
	if err := checkNextBook(req.Book, req.BaseVersion, "rotation"); err != nil {
		return nil, err
	}
	if req.Recovery == nil {
		return nil, refusal.Malformed("rotation")
	}
	resp, err := s.rotate(ctx, c, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return resp, nil
}

func (s *Service) rotate(ctx context.Context, c caller.Caller, req *resealv1.RotateRequest) (*resealv1.RotateResponse, error) {
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
		return s.rotatedNow(ctx, c, a.pw.Credential)
	}
	// After the look at a repeat: a first try may have bound the session.
	if _, err := fresh(ctx); err != nil {
		return nil, err
	}
	if a, err = s.readAs(ctx, c); err != nil {
		return nil, err
	}
	if a.rev != req.Revision {
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	l, err := s.rotatedList(a, req.List, req.DeviceId)
	if err != nil {
		return nil, err
	}
	bind, cert, err := s.newcomer(l, req)
	if err != nil {
		return nil, err
	}
	if err := renewRecovery(&a.pw, req.Recovery); err != nil {
		return nil, err
	}
	next := a.pw.Credential + 1
	b, err := s.succession(ctx, a, c, next, req.KeepSession, bind, token)
	if err != nil {
		return nil, err
	}
	if err := s.replaceRows(ctx, b, l, req.Rows, token); err != nil {
		return nil, err
	}
	told := notice(resealv1.AccountNotice_WHAT_ROTATED, s.now())
	told.Device = s.sessionDevice(ctx, a.id, req.KeepSession)
	old, err := s.replaceBook(ctx, b, a.id, req.BaseVersion, req.Book, token)
	if err != nil {
		return nil, err
	}
	a.pw.Credential, a.pw.Opaque = next, req.OpaqueRecord
	a.pw.Capsule, a.pw.Copy = req.Capsules.Capsule, req.Capsules.Copy
	b.Replace(records.Pw, a.rev, a.pw.Encode(), token, 0)
	b.Replace(records.List, a.listRev, l.Bytes(), token, 0)
	// Contacts that come back after years follow it: it is kept for ever.
	b.PutOnce(records.ListKey(l.List.Version), l.Bytes(), 0)
	if cert != nil {
		putCertificate(b, cert)
	}
	if err := s.commit(ctx, a.id, b, token); err != nil {
		return nil, err
	}
	s.listChanged(a.id)
	s.Counter.Count("passwords", "rotated")
	s.tell(ctx, l, told)
	if err := s.sweepParts(ctx, a.id, old); err != nil {
		s.Log.WarnContext(ctx, "auth: parts of the old book were left", "error", err)
	}
	return s.rotatedNow(ctx, c, next)
}

// rotatedNow is the answer, read back: a repeat gets the session share too.
func (s *Service) rotatedNow(ctx context.Context, c caller.Caller, credential uint64) (*resealv1.RotateResponse, error) {
	rev, err := s.revision(ctx, c.Account)
	if err != nil {
		return nil, err
	}
	resp := &resealv1.RotateResponse{Revision: rev, Credential: credential}
	rec, err := s.Store.Get(ctx, records.AccountPartition(c.Account), records.SessionKey(c.Session))
	if err != nil {
		return nil, err
	}
	session, err := records.ParseSession(rec.Value)
	if err == nil && !session.Device.IsZero() {
		resp.SessionShare = session.Share[:]
	}
	return resp, err
}

// newcomer is what a rotation onto a new device adds: the session bound to it,
// and its certificate; nothing where the request names none.
func (s *Service) newcomer(l *identity.SignedList, req *resealv1.RotateRequest) (bind func(*records.Session), cert *identity.SignedCertificate, err error) {
	if len(req.DeviceId) == 0 {
		return nil, nil, nil
	}
	device := identity.DeviceID(req.DeviceId)
	if cert, err = s.certified(req.Certified, l, device); err != nil {
		return nil, nil, err
	}
	if len(req.Rows) != 1 || len(req.Rows[0].Shares) != 1 || !isLen(req.Rows[0].Shares[0].Row, 32) {
		return nil, nil, refusal.Malformed("shares")
	}
	row := [32]byte(req.Rows[0].Shares[0].Row)
	return func(session *records.Session) { session.Device, session.Row = device, row }, cert, nil
}

// rotatedList checks that a list is the one succession that the present list
// commits to, with no device that was not there before, or with a new one alone.
func (s *Service) rotatedList(a *account, b, device []byte) (*identity.SignedList, error) {
	l, err := identity.ParseSignedList(b)
	if err != nil {
		return nil, refusal.Malformed("device list")
	}
	if l.List.Account != a.id || l.List.Version != a.list.List.Version+1 || l.List.Prev != a.list.Hash() {
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	if _, err := identity.PinOf(a.list).Follow(l); err != nil || !l.Rotation() {
		return nil, refusal.New(resealv1.Reason_REASON_PROOF)
	}
	for _, d := range l.List.Devices {
		_, old := a.list.Find(d.ID)
		alone := len(l.List.Devices) == 1 && string(d.ID[:]) == string(device) && !old
		if !alone && (len(device) > 0 || !slices.Contains(a.list.List.Devices, d)) {
			return nil, refusal.Malformed("device list")
		}
	}
	return l, s.near(l.List.IssuedAt)
}

// replaceRows puts one row of shares for each device of the list, and destroys
// every other.
func (s *Service) replaceRows(ctx context.Context, b *store.Batch, l *identity.SignedList, rows []*resealv1.ShareRow, token store.Token) error {
	given, devices := map[[32]byte]records.Shares{}, map[identity.DeviceID]bool{}
	for _, r := range rows {
		if !isLen(r.DeviceId, len(identity.DeviceID{})) || len(r.Shares) < 1 || len(r.Shares) > 2 {
			return refusal.Malformed("shares")
		}
		sh := records.Shares{Device: identity.DeviceID(r.DeviceId)}
		row, first, err := shareOf(r.Shares[0])
		if err != nil {
			return err
		}
		sh.Opened = first
		if len(r.Shares) == 2 {
			same, second, err := shareOf(r.Shares[1])
			if err != nil {
				return err
			}
			if same != row || second.ID == first.ID {
				return refusal.Malformed("shares")
			}
			sh.New = &second
		}
		_, here := l.Find(sh.Device)
		if _, twice := given[row]; twice || devices[sh.Device] || !here {
			return refusal.Malformed("shares")
		}
		given[row], devices[sh.Device] = sh, true
	}
	if len(given) != len(l.List.Devices) {
		return refusal.Malformed("shares")
	}
	stand, err := s.shareRows(ctx, l.List.Account)
	if err != nil {
		return err
	}
	for _, r := range stand {
		sh, ok := given[r.row]
		switch {
		case !ok:
			b.RevIs(r.rec.Key, r.rec.Rev).Gone(r.rec.Key, token, int64(s.now().Add(listKept)))
		case sh.Device != r.Device:
			return refusal.Malformed("shares")
		default:
			b.Replace(r.rec.Key, r.rec.Rev, sh.Encode(), token, 0)
		}
		delete(given, r.row)
	}
	for row, sh := range given {
		b.Create(records.ShareKey(row), sh.Encode(), token, 0)
	}
	return nil
}

// bookFits checks the quota of a book that comes with new keys. What is no larger
// than the book that stands, or one part, always fits: nobody is to be kept from a
// rotation by contacts that were there before.
func (s *Service) bookFits(ctx context.Context, id identity.AccountID, b *resealv1.Book) error {
	size := bookSize(b)
	if s.MaxBook <= 0 || size <= max(s.MaxBook, MaxPart) {
		return nil
	}
	stands, _, err := s.getBook(ctx, id)
	if err == nil && size > bookSize(stands) {
		err = refusal.Limit(quota.What("book"))
	}
	return err
}

// replaceBook puts the parts of a book, and its head into the batch that makes
// it stand. It returns the writer whose parts go after that.
func (s *Service) replaceBook(ctx context.Context, b *store.Batch, id identity.AccountID, base uint64, book *resealv1.Book, token store.Token) (old [16]byte, err error) {
	h, head, err := s.head(ctx, id)
	if err != nil {
		return old, err
	}
	if h.Version != base {
		return old, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	if err := s.bookFits(ctx, id, book); err != nil {
		return old, err
	}
	writer, err := s.newWriter()
	if err != nil {
		return old, err
	}
	for n, part := range book.Parts {
		if err := s.Store.Commit(ctx, records.AccountPartition(id), new(store.Batch).PutOnce(records.PartKey(writer, n), part, 0)); err != nil {
			return old, err
		}
	}
	if s.writerAge(writer) > writerLife {
		return old, refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
	}
	next := records.BookHead{Version: book.Version, Parts: uint16(len(book.Parts)), Writer: writer}
	if head.Present() {
		b.Replace(records.Book, head.Rev, next.Encode(), token, 0)
	} else {
		b.Create(records.Book, next.Encode(), token, 0)
	}
	return h.Writer, nil
}
