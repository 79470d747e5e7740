package mailbox

import (
	"context"
	"errors"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// Events streams what concerns the caller's device. It subscribes first, then
// reads the queue, so that nothing falls between; duplicates are the client's
// to know by their ids.
func (s *Service) Events(ctx context.Context, req *resealv1.EventsRequest, out resealv1connect.MailboxServiceEventsServerStream) error {
	c, err := caller.Device(ctx)
	if err != nil {
		return err
	}
	st := &stream{caller: c, some: make(chan struct{}, 1), end: make(chan struct{}), watch: map[identity.AccountID]func(){}, sent: map[string]struct{}{}}
	if err := s.rewatch(st, req.Watch); err != nil {
		return err
	}
	defer s.close(st)
	if err := s.register(st); err != nil {
		return err
	}
	for topic, f := range map[string]func([]byte){
		queueTopic(c.Account): func(h []byte) {
			if _, _, mine := parseEntryName(h, c.Device); mine {
				st.hint(news{entry: append([]byte(nil), h...)})
			}
		},
		DirectoryTopic(c.Account): func([]byte) { a := c.Account; st.hint(news{account: &a}) },
		SessionTopic(c.Account):   func([]byte) { st.hint(news{session: true}) },
		BookTopic(c.Account):      func([]byte) { st.hint(news{book: true}) },
	} {
		defer s.Bus.Subscribe(topic, f)()
	}
	if err := out.SendHeaders(); err != nil {
		return err
	}
	today := s.now().Day()
	if err := s.sweepQueue(ctx, st, days(today-QueueDays, today+1), out); err != nil {
		return s.fail(ctx, err)
	}
	if ev, err := s.bookEvent(ctx, c.Account); err != nil {
		return s.fail(ctx, err)
	} else if ev != nil {
		if err := out.Send(ev); err != nil {
			return err
		}
	}
	if err := out.Send(&resealv1.EventsResponse{Event: &resealv1.EventsResponse_CaughtUp{
		CaughtUp: &resealv1.CaughtUp{ServerTimeMs: uint64(s.now())},
	}}); err != nil {
		return err
	}
	return s.follow(ctx, st, out)
}

// follow sends what comes, until the client, the session or the server ends.
func (s *Service) follow(ctx context.Context, st *stream, out resealv1connect.MailboxServiceEventsServerStream) error {
	tick := time.NewTimer(s.pause())
	defer tick.Stop()
	for {
		var all []news
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Stop:
			return refusal.New(resealv1.Reason_REASON_DRAINING)
		case <-st.end:
			return refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
		case <-tick.C:
			all = []news{{check: true}}
			tick.Reset(s.pause())
		case <-st.some:
			all = st.take()
		}
		for _, n := range all {
			if err := s.tell(ctx, st, n, out); err != nil {
				return err
			}
		}
	}
}

// tell handles one hint, and ends early where the stream is to end.
func (s *Service) tell(ctx context.Context, st *stream, n news, out resealv1connect.MailboxServiceEventsServerStream) error {
	select {
	case <-s.Stop:
		return refusal.New(resealv1.Reason_REASON_DRAINING)
	case <-st.end:
		return refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
	default:
	}
	if n.session || n.check {
		if err := s.Sessions.Live(ctx, st.caller); err != nil {
			return s.fail(ctx, err)
		}
	}
	if n.check {
		if err := s.sweepQueue(ctx, st, s.someDays(st), out); err != nil {
			return s.fail(ctx, err)
		}
	}
	if err := s.sendNews(ctx, st, n, out); err != nil {
		return err
	}
	if st.lost.Swap(false) {
		return out.Send(&resealv1.EventsResponse{Event: &resealv1.EventsResponse_Resync{Resync: true}})
	}
	return nil
}

func (s *Service) sendNews(ctx context.Context, st *stream, n news, out resealv1connect.MailboxServiceEventsServerStream) error {
	var ev *resealv1.EventsResponse
	var err error
	switch {
	case n.entry != nil:
		if _, ok := st.sent[string(n.entry)]; ok {
			return nil // a repeat woke the stream; the device has it
		}
		day, key, _ := parseEntryName(n.entry, st.caller.Device)
		if ev, err = s.deliver(ctx, st.caller, day, key); ev != nil {
			st.mark(n.entry)
		}
	case n.account != nil:
		ev, err = s.accountEvent(ctx, *n.account)
	case n.book:
		ev, err = s.bookEvent(ctx, st.caller.Account)
	case n.session:
		ev = &resealv1.EventsResponse{Event: &resealv1.EventsResponse_Sessions{Sessions: true}}
	}
	if err != nil {
		return s.fail(ctx, err)
	}
	if ev == nil {
		return nil
	}
	return out.Send(ev)
}

// deliver reads what a queue entry tells of. An entry whose matter is gone is
// removed; nil is returned for it.
func (s *Service) deliver(ctx context.Context, c caller.Caller, day uint32, key store.Key) (*resealv1.EventsResponse, error) {
	p := records.DayPartition(c.Account, day)
	b, err := s.get(ctx, p, key)
	if err != nil || b == nil {
		return nil, err
	}
	e, err := records.ParseEntry(b)
	if err != nil {
		return nil, err
	}
	ev := &resealv1.EventsResponse{Entry: entryName(day, key)}
	if err := s.fill(ctx, c, e, ev); err != nil {
		return nil, err
	}
	if ev.Event == nil {
		return nil, s.commit(ctx, p, new(store.Batch).DeleteOnce(key).Lazily())
	}
	return ev, nil
}

func (s *Service) fill(ctx context.Context, c caller.Caller, e records.Entry, ev *resealv1.EventsResponse) error {
	p := records.MessagePartition(c.Account, e.Message)
	switch e.Kind {
	case records.EntryMessage:
		// An end that came meanwhile is told instead.
		if b, err := s.get(ctx, p, records.EndKey(e.Message)); err != nil {
			return err
		} else if b != nil {
			ev.Event = &resealv1.EventsResponse_End{End: b}
			return nil
		}
		for _, k := range []store.Key{records.MessageKey(e.Message), records.CopyKey(e.Message)} {
			rec, err := s.Store.Get(ctx, p, k)
			if errors.Is(err, store.ErrAbsent) {
				continue
			}
			if err != nil {
				return err
			}
			if m, err := s.pendingFor(ctx, p, rec, c, false); err != nil {
				return err
			} else if m != nil {
				ev.Event = &resealv1.EventsResponse_Message{Message: m}
			}
			return nil
		}
	case records.EntryWraps:
		wraps, err := s.wrapsFor(ctx, p, e.Message, c.Device)
		if err != nil || len(wraps) == 0 {
			return err
		}
		ev.Event = &resealv1.EventsResponse_Wraps{Wraps: &resealv1.NewWraps{MessageId: e.Message[:], Wraps: wraps}}
	case records.EntryEnd:
		b, err := s.get(ctx, p, records.EndKey(e.Message))
		if err != nil || b == nil {
			return err
		}
		ev.Event = &resealv1.EventsResponse_End{End: b}
	case records.EntryReceipt:
		if len(e.Extra) != 17 {
			return records.ErrDamaged
		}
		b, err := s.get(ctx, p, records.ReceiptKey(e.Message, identity.DeviceID(e.Extra[:16]), message.What(e.Extra[16])))
		if err != nil || b == nil {
			return err
		}
		ev.Event = &resealv1.EventsResponse_Receipt{Receipt: b}
	case records.EntryRetry:
		return s.fillRetry(ctx, e, ev)
	case records.EntryClosed:
		if len(e.Extra) != 32 {
			return records.ErrDamaged
		}
		ev.Event = &resealv1.EventsResponse_RetryClosed{RetryClosed: e.Extra}
	case records.EntryNotice:
		n, err := records.ParseNotice(e.Extra)
		if err != nil {
			return err
		}
		told := &resealv1.AccountNotice{What: resealv1.AccountNotice_What(n.What), AtMs: uint64(n.At), DueMs: uint64(n.Due)}
		if !n.Device.IsZero() {
			told.DeviceId = n.Device[:]
		}
		ev.Event = &resealv1.EventsResponse_Notice{Notice: told}
	}
	return nil
}

// accountEvent is a changed account as its watchers are told of it.
func (s *Service) accountEvent(ctx context.Context, a identity.AccountID) (*resealv1.EventsResponse, error) {
	r, err := roster.Read(ctx, s.Store, a)
	if errors.Is(err, roster.ErrUnknown) {
		return &resealv1.EventsResponse{Event: &resealv1.EventsResponse_AccountClosed{AccountClosed: a[:]}}, nil
	}
	if err != nil {
		return nil, err
	}
	// A watcher that is more than one version behind asks for the rotations.
	var known uint64
	if v := r.List.List.Version; v > 1 {
		known = v - 2
	}
	k, err := r.Keys(ctx, s.Store, known)
	if err != nil {
		return nil, err
	}
	return &resealv1.EventsResponse{Event: &resealv1.EventsResponse_Account{Account: k}}, nil
}

func (s *Service) bookEvent(ctx context.Context, a identity.AccountID) (*resealv1.EventsResponse, error) {
	b, err := s.get(ctx, records.AccountPartition(a), records.Book)
	if err != nil || b == nil {
		return nil, err
	}
	h, err := records.ParseBookHead(b)
	if err != nil {
		return nil, err
	}
	return &resealv1.EventsResponse{Event: &resealv1.EventsResponse_BookVersion{BookVersion: h.Version}}, nil
}
