// Package retry takes signed retry requests and hands them to those who may
// hold the keys: devices of the requester's own account, or of the sender's.
//
// The server keeps no timer and decides nothing: the asker repeats, every
// repeat goes to all holders, and each holder checks the signed request by its
// own records (spec/retry.md). What is checked here only keeps nonsense out.
package retry

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/faults"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
	"github.com/reseal/reseal/store"
)

// MaxRequests is how many requests one call brings.
const MaxRequests = 16

// Queue is what this package needs of the mailbox.
type Queue interface {
	// Push puts an entry into a device's queue, unless the same one waits
	// there, and wakes its stream.
	Push(ctx context.Context, a identity.AccountID, d identity.DeviceID, e records.Entry, expires identity.Time) error
	// Online tells which devices of an account have an open stream.
	Online(a identity.AccountID) []identity.DeviceID
	// Extra encodes where a request lies, and the part of it that is meant.
	Extra(requester identity.AccountID, day uint32, request [32]byte, part []message.ID) []byte
}

// Counter counts by a label.
type Counter interface{ Count(name, label string) }

// Limiter refuses what comes too often. The kinds are "retry" and
// "retry_close", by account, and "retry_new", by account and addressed account:
// each new request leaves entries in the queues of all holders.
type Limiter interface {
	Allow(kind, key string) error
}

// Service routes retry requests. Its methods may be called from many goroutines.
type Service struct {
	Store   store.Store
	Queue   Queue
	Limiter Limiter
	Counter Counter
	// Asked is told what is asked for; nil is nobody.
	Asked *Asked
	Log   *slog.Logger
	Now   func() time.Time
}

// AskRetry stores signed requests and hands them to holders.
func (s *Service) AskRetry(ctx context.Context, req *resealv1.AskRetryRequest) (*resealv1.AskRetryResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.Requests) == 0 || len(req.Requests) > MaxRequests {
		return nil, refusal.Limit("requests")
	}
	for _, b := range req.Requests {
		if err := s.Limiter.Allow("retry", string(c.Account[:])); err != nil {
			return nil, err
		}
		if err := s.ask(ctx, c, b); err != nil {
			return nil, s.fail(ctx, err)
		}
	}
	// Not who was there to be asked: when people are online is not the asker's
	// business, least of all one's whom they have blocked.
	return &resealv1.AskRetryResponse{}, nil
}

func (s *Service) ask(ctx context.Context, c caller.Caller, b []byte) error {
	r, err := retry.ParseRequest(b)
	if err != nil {
		return refusal.Malformed("retry request")
	}
	own, err := roster.Read(ctx, s.Store, c.Account)
	if err != nil {
		return err
	}
	d, listed := own.List.Find(c.Device)
	if r.Request.Account != c.Account || r.Request.Device != c.Device || !listed || r.Verify(d.Key) != nil {
		return refusal.New(resealv1.Reason_REASON_PROOF)
	}
	ids, err := s.wanted(ctx, c.Account, r.Request)
	if err != nil || len(ids) == 0 {
		return err
	}
	addressed := own
	if r.Request.To != c.Account {
		if addressed, err = roster.Read(ctx, s.Store, r.Request.To); err != nil {
			return err
		}
	}
	now := identity.TimeOf(s.Now())
	blocked, err := s.blocked(ctx, r.Request.To, c.Account)
	if err != nil {
		return err
	}
	at, repeat, err := s.put(ctx, c.Account, r, b, now)
	if err != nil {
		return err
	}
	s.countAsked(c, r.Request.To, ids, at, repeat)
	if blocked { // nothing arrives
		return nil
	}
	here, away := s.holders(c, r.Request.To, addressed.List)
	parts := retry.Deal(ids, here, repeat)
	for _, d := range away {
		parts = append(parts, retry.Part{Holder: d})
	}
	for _, part := range parts {
		entry := records.Entry{Kind: records.EntryRetry, Extra: s.Queue.Extra(c.Account, at.Day(), r.ID(), part.Messages)}
		if err := s.Queue.Push(ctx, r.Request.To, part.Holder, entry, now.Add(requestLife)); err != nil {
			return err
		}
	}
	return nil
}

// blocked tells whether the addressed account wants nothing of the requester.
func (s *Service) blocked(ctx context.Context, by, whom identity.AccountID) (bool, error) {
	rec, err := s.Store.Get(ctx, records.AccountPartition(by), records.BlockKey(whom))
	if errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return records.ParseBlock(rec.Value)
}

// requestLife is how long a request lies in holders' queues: a day after its
// last repeat there will have been a newer one.
const requestLife = 31 * 24 * time.Hour

// countAsked counts a request, and the messages that are asked for by it for
// the first time.
func (s *Service) countAsked(c caller.Caller, to identity.AccountID, ids []message.ID, at identity.Time, repeat bool) {
	if to == c.Account {
		s.Counter.Count("retry_requests", "own")
	} else {
		s.Counter.Count("retry_requests", "sender")
	}
	if s.Asked == nil {
		return
	}
	for _, id := range ids {
		if s.Asked.ask(id, c.Device, at.Time()) && !repeat {
			s.Counter.Count("retries_needed", "")
		}
	}
}

// put stores the request, and returns when that was. A repeat finds it, on the
// day it was made.
func (s *Service) put(ctx context.Context, a identity.AccountID, r *retry.SignedRequest, b []byte, now identity.Time) (at identity.Time, repeat bool, err error) {
	key := records.RequestKey(r.ID())
	for day := now.Day(); day+2 > now.Day() && day <= now.Day(); day-- {
		if rec, err := s.Store.Get(ctx, records.DayPartition(a, day), key); err == nil {
			return identity.Time(rec.Expires).Add(-requestLife), true, nil
		} else if !errors.Is(err, store.ErrAbsent) {
			return 0, false, err
		}
	}
	if err := s.Limiter.Allow("retry_new", string(a[:])+string(r.Request.To[:])); err != nil {
		return 0, false, err
	}
	err = s.Store.Commit(ctx, records.DayPartition(a, now.Day()), new(store.Batch).PutOnce(key, b, int64(now.Add(requestLife))))
	return now, false, err
}

// wanted are the asked-for messages that are pending for the requester's
// account and were sent by the addressed one (or by anybody, if the own
// account's devices are asked).
func (s *Service) wanted(ctx context.Context, a identity.AccountID, r retry.Request) ([]message.ID, error) {
	var ids []message.ID
	for _, id := range r.Messages {
		p := records.MessagePartition(a, id)
		rec, err := s.Store.Get(ctx, p, records.MessageKey(id))
		if errors.Is(err, store.ErrAbsent) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m, err := records.ParseMessage(rec.Value)
		if err != nil {
			return nil, err
		}
		h, err := message.ParseHeader(m.Header)
		if err != nil {
			return nil, err
		}
		if r.To == a || r.To == h.Sender {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// holders are the devices of the addressed account: those with an open stream,
// who are asked at once and among whom a large first asking is dealt out, and
// the others, who find it in their queues.
func (s *Service) holders(c caller.Caller, to identity.AccountID, l *identity.SignedList) (here, away []identity.DeviceID) {
	online := s.Queue.Online(to)
	for _, d := range l.List.Devices {
		switch {
		case to == c.Account && d.ID == c.Device:
		case slices.Contains(online, d.ID):
			here = append(here, d.ID)
		default:
			away = append(away, d.ID)
		}
	}
	return here, away
}

// CloseRetry withdraws requests: holders that have not taken them yet will not
// find them any more.
func (s *Service) CloseRetry(ctx context.Context, req *resealv1.CloseRetryRequest) (*resealv1.CloseRetryResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.RequestIds) > MaxRequests {
		return nil, refusal.Limit("requests")
	}
	now := identity.TimeOf(s.Now())
	for _, id := range req.RequestIds {
		if len(id) != 32 {
			return nil, refusal.Malformed("request id")
		}
		// Each is looked for on every day that it may lie.
		if err := s.Limiter.Allow("retry_close", string(c.Account[:])); err != nil {
			return nil, err
		}
		if err := s.close(ctx, c, [32]byte(id), now); err != nil {
			return nil, s.fail(ctx, err)
		}
	}
	return &resealv1.CloseRetryResponse{}, nil
}

// close deletes a request wherever it lies: on the day that it was made.
func (s *Service) close(ctx context.Context, c caller.Caller, id [32]byte, now identity.Time) error {
	for day := now.Day() - 32; day <= now.Day(); day++ {
		p := records.DayPartition(c.Account, day)
		rec, err := s.Store.Get(ctx, p, records.RequestKey(id))
		if errors.Is(err, store.ErrAbsent) {
			continue
		}
		if err != nil {
			return err
		}
		// Only the device that asked withdraws.
		r, err := retry.ParseRequest(rec.Value)
		if err != nil || r.Request.Device != c.Device {
			return refusal.New(resealv1.Reason_REASON_PROOF)
		}
		if err := s.Store.Commit(ctx, p, new(store.Batch).DeleteOnce(records.RequestKey(id))); err != nil {
			return err
		}
		s.Counter.Count("retry_closed", "")
		if err := s.tellClosed(ctx, r.Request.To, c, id, now); err != nil {
			return err
		}
	}
	return nil
}

// tellClosed tells the holders that are online and may be about to answer.
func (s *Service) tellClosed(ctx context.Context, to identity.AccountID, c caller.Caller, id [32]byte, now identity.Time) error {
	for _, d := range s.Queue.Online(to) {
		if to == c.Account && d == c.Device {
			continue
		}
		if err := s.Queue.Push(ctx, to, d, records.Entry{Kind: records.EntryClosed, Extra: id[:]}, now.Add(closedLife)); err != nil {
			return err
		}
	}
	return nil
}

// closedLife is how long a holder is told that a request is closed.
const closedLife = 24 * time.Hour

func (s *Service) fail(ctx context.Context, err error) error {
	return faults.Refuse(ctx, s.Log, "retry", err)
}
