package admin

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// messageDays is how many days back messages may wait.
const messageDays = 32

// CountAccounts reads the records of every account: about a millisecond for
// each hundred, while the server goes on.
func (s *Service) CountAccounts(ctx context.Context, _ *resealv1.CountAccountsRequest) (*resealv1.CountAccountsResponse, error) {
	if s.Lister == nil {
		return nil, refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
	}
	resp, prefix := new(resealv1.CountAccountsResponse), records.HandlePartition("")
	for after := store.Partition(""); ; {
		page, err := s.Lister.Partitions(ctx, prefix, after, store.MaxPage)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		for _, p := range page {
			if err := s.countHandle(ctx, p, resp); err != nil {
				return nil, s.fail(ctx, err)
			}
		}
		if len(page) < store.MaxPage {
			return resp, nil
		}
		after = page[len(page)-1]
	}
}

// countHandle counts what a handle names.
func (s *Service) countHandle(ctx context.Context, p store.Partition, resp *resealv1.CountAccountsResponse) error {
	rec, err := s.Store.Get(ctx, p, records.HandleID)
	if errors.Is(err, store.ErrAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	if rec.Gone() {
		resp.HeldHandles++
		return nil
	}
	id, err := records.ParseAccount(rec.Value)
	if err != nil {
		return err
	}
	list, err := s.Store.Get(ctx, records.AccountPartition(id), records.List)
	if errors.Is(err, store.ErrAbsent) || (err == nil && list.Gone()) {
		return nil // it is being made, or closed
	}
	if err != nil {
		return err
	}
	l, err := identity.ParseSignedList(list.Value)
	if err != nil {
		return err
	}
	sessions, err := s.Accounts.Sessions(ctx, id)
	if refusal.Reason(err) == resealv1.Reason_REASON_UNKNOWN_ACCOUNT {
		return nil
	}
	if err != nil {
		return err
	}
	resp.Accounts++
	resp.Devices += uint64(len(l.List.Devices))
	resp.Sessions += uint64(len(sessions.Sessions))
	return nil
}

// DescribeAccount tells counts and times of one account.
func (s *Service) DescribeAccount(ctx context.Context, req *resealv1.DescribeAccountRequest) (*resealv1.DescribeAccountResponse, error) {
	id, err := s.Accounts.Named(ctx, req.Handle)
	if err != nil {
		return nil, err
	}
	rec, err := s.Store.Get(ctx, records.AccountPartition(id), records.List)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	l, err := identity.ParseSignedList(rec.Value)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	sessions, err := s.Accounts.Sessions(ctx, id)
	if err != nil {
		return nil, err
	}
	resp := &resealv1.DescribeAccountResponse{AccountId: id[:], Devices: uint32(len(l.List.Devices)), Sessions: uint32(len(sessions.Sessions))}
	for _, session := range sessions.Sessions {
		resp.LastSeenMs = max(resp.LastSeenMs, session.LastSeenMs)
	}
	today := s.now().Day()
	for day := today - messageDays; day <= today+1; day++ {
		for _, err := range store.Scan(ctx, s.Store, records.DayPartition(id, day), records.Messages, store.PrefixEnd(records.Messages), true) {
			if err != nil {
				return nil, s.fail(ctx, err)
			}
			resp.Messages++
		}
	}
	return resp, nil
}
