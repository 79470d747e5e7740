package auth

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// GetShares returns the sealed shares of a row: one, two while a replacement
// is under way, or none (a section of a removed device, or of a folder copied
// from elsewhere).
func (s *Service) GetShares(ctx context.Context, req *resealv1.GetSharesRequest) (*resealv1.GetSharesResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	if !isLen(req.Row, 32) {
		return nil, refusal.Malformed("row")
	}
	rev, err := s.revision(ctx, c.Account)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	resp := &resealv1.GetSharesResponse{Revision: rev}
	sh, _, err := s.shares(ctx, c, [32]byte(req.Row))
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if sh == nil {
		return resp, nil
	}
	all := []records.Share{sh.Opened}
	if sh.New != nil {
		all = append(all, *sh.New)
	}
	for _, one := range all {
		resp.Shares = append(resp.Shares, &resealv1.Share{Row: req.Row, ShareId: one.ID[:], Sealed: one.Sealed})
	}
	return resp, nil
}

// shares reads a row, nil where there is none.
func (s *Service) shares(ctx context.Context, c caller.Caller, row [32]byte) (*records.Shares, uint64, error) {
	rec, err := s.Store.Get(ctx, records.AccountPartition(c.Account), records.ShareKey(row))
	if errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	sh, err := records.ParseShares(rec.Value)
	return &sh, rec.Rev, err
}

// PutShare adds a share to a row beside the one that the section is sealed
// under now. The server keeps those two and drops any other; it refuses if it
// lacks the named one, because then nothing it has opens the section.
func (s *Service) PutShare(ctx context.Context, req *resealv1.PutShareRequest) (*resealv1.PutShareResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	row, share, err := shareOf(req.Share)
	if err != nil {
		return nil, err
	}
	if !isLen(req.CurrentShareId, 16) || share.ID == [16]byte(req.CurrentShareId) {
		return nil, refusal.Malformed("share")
	}
	token, err := tokenOf(req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if err := s.putShare(ctx, c, row, share, [16]byte(req.CurrentShareId), req.Revision, token); err != nil {
		return nil, s.fail(ctx, err)
	}
	rev, err := s.revision(ctx, c.Account)
	return &resealv1.PutShareResponse{Revision: rev}, s.fail(ctx, err)
}

func (s *Service) putShare(ctx context.Context, c caller.Caller, row [32]byte, share records.Share, current [16]byte, revision uint64, token store.Token) error {
	sh, rev, err := s.shares(ctx, c, row)
	if err != nil {
		return err
	}
	if sh == nil {
		return refusal.New(resealv1.Reason_REASON_UNKNOWN_SHARE)
	}
	switch {
	case sh.New != nil && sh.New.ID == share.ID && sh.Opened.ID == current:
		return nil // a repeat
	case sh.Opened.ID == current:
	case sh.New != nil && sh.New.ID == current:
		// The section was resealed, and its confirmation was lost.
		sh.Opened = *sh.New
	default:
		return refusal.New(resealv1.Reason_REASON_UNKNOWN_SHARE)
	}
	sh.New = &share
	a, err := s.readAs(ctx, c)
	if err != nil {
		return err
	}
	if a.rev != revision {
		return refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	return s.commit(ctx, c.Account, a.batch(token).Replace(records.ShareKey(row), rev, sh.Encode(), token, 0), token)
}

// ConfirmShare keeps the share that the section is sealed under by now, and
// drops the other.
func (s *Service) ConfirmShare(ctx context.Context, req *resealv1.ConfirmShareRequest) (*resealv1.ConfirmShareResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	if !isLen(req.Row, 32) || !isLen(req.ShareId, 16) {
		return nil, refusal.Malformed("share")
	}
	for range 4 { // another device's change may come between
		err = s.confirmShare(ctx, c, [32]byte(req.Row), [16]byte(req.ShareId))
		if refusal.Reason(err) != resealv1.Reason_REASON_CONFLICT {
			break
		}
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	rev, err := s.revision(ctx, c.Account)
	return &resealv1.ConfirmShareResponse{Revision: rev}, s.fail(ctx, err)
}

func (s *Service) confirmShare(ctx context.Context, c caller.Caller, row [32]byte, id [16]byte) error {
	sh, rev, err := s.shares(ctx, c, row)
	if err != nil {
		return err
	}
	switch {
	case sh == nil:
		return refusal.New(resealv1.Reason_REASON_UNKNOWN_SHARE)
	case sh.Opened.ID == id && sh.New == nil:
		return nil
	case sh.Opened.ID == id:
	case sh.New != nil && sh.New.ID == id:
		sh.Opened = *sh.New
	default:
		return refusal.New(resealv1.Reason_REASON_UNKNOWN_SHARE)
	}
	sh.New = nil
	token, err := store.NewToken(s.Rand)
	if err != nil {
		return err
	}
	a, err := s.readAs(ctx, c)
	if err != nil {
		return err
	}
	return s.commit(ctx, c.Account, a.batch(token).Replace(records.ShareKey(row), rev, sh.Encode(), token, 0), token)
}

// GetSessionShare releases the server's half of the session share.
func (s *Service) GetSessionShare(ctx context.Context, _ *resealv1.GetSessionShareRequest) (*resealv1.GetSessionShareResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	// Not from the cache: what ended a moment ago must not open a database.
	if err := s.Live(ctx, c); err != nil {
		return nil, s.fail(ctx, err)
	}
	rec, err := s.Store.Get(ctx, records.AccountPartition(c.Account), records.SessionKey(c.Session))
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	session, err := records.ParseSession(rec.Value)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.GetSessionShareResponse{SessionShare: session.Share[:]}, nil
}
