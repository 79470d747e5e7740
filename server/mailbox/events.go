package mailbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
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

// streams are the open event streams of this node, by session.
type streams struct {
	mu   sync.Mutex
	open map[[32]byte]*stream
}

// stream is one open event stream. Hints come in through news, which never
// blocks: when it overflows, lost tells the client to read its days again.
type stream struct {
	caller caller.Caller
	news   chan news
	lost   atomic.Bool // not under mu: hints come while the bus is locked
	mu     sync.Mutex
	watch  map[identity.AccountID]func()
}

// news is a hint that concerns a stream.
type news struct {
	entry   []byte              // a queue entry's name
	account *identity.AccountID // a list or certificate changed
	session bool
	book    bool
}

func (st *stream) hint(n news) {
	select {
	case st.news <- n:
	default:
		st.lost.Store(true)
	}
}

// Online tells which of an account's devices have an open stream on this node.
func (s *Service) Online(a identity.AccountID) []identity.DeviceID {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	var ids []identity.DeviceID
	for _, st := range s.streams.open {
		if st.caller.Account == a {
			ids = append(ids, st.caller.Device)
		}
	}
	return ids
}

// Streams is how many event streams are open on this node.
func (s *Service) Streams() int {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	return len(s.streams.open)
}

// Events streams what concerns the caller's device. It subscribes first, then
// reads the queue, so that nothing falls between; duplicates are the client's
// to know by their ids.
func (s *Service) Events(ctx context.Context, req *resealv1.EventsRequest, out resealv1connect.MailboxServiceEventsServerStream) error {
	c, err := caller.Device(ctx)
	if err != nil {
		return err
	}
	st := &stream{caller: c, news: make(chan news, backlog), watch: map[identity.AccountID]func(){}}
	if err := s.rewatch(st, req.Watch); err != nil {
		return err
	}
	defer s.close(st)
	s.register(st)
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
	if err := s.backlog(ctx, c, out); err != nil {
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

func (s *Service) register(st *stream) {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	if s.streams.open == nil {
		s.streams.open = map[[32]byte]*stream{}
	}
	s.streams.open[st.caller.Session] = st
}

func (s *Service) close(st *stream) {
	s.streams.mu.Lock()
	if s.streams.open[st.caller.Session] == st {
		delete(s.streams.open, st.caller.Session)
	}
	s.streams.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, cancel := range st.watch {
		cancel()
	}
	st.watch = nil
}

// follow sends what comes, until the client, the session or the server ends.
func (s *Service) follow(ctx context.Context, st *stream, out resealv1connect.MailboxServiceEventsServerStream) error {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		var n news
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Stop:
			return refusal.New(resealv1.Reason_REASON_DRAINING)
		case <-tick.C:
			n = news{session: true}
		case n = <-st.news:
		}
		if n.session {
			if err := s.Sessions.Live(ctx, st.caller); err != nil {
				return s.fail(ctx, err)
			}
		}
		if err := s.sendNews(ctx, st, n, out); err != nil {
			return err
		}
		if st.lost.Swap(false) {
			if err := out.Send(&resealv1.EventsResponse{Event: &resealv1.EventsResponse_Resync{Resync: true}}); err != nil {
				return err
			}
		}
	}
}

func (s *Service) sendNews(ctx context.Context, st *stream, n news, out resealv1connect.MailboxServiceEventsServerStream) error {
	var ev *resealv1.EventsResponse
	var err error
	switch {
	case n.entry != nil:
		day, key, _ := parseEntryName(n.entry, st.caller.Device)
		ev, err = s.deliver(ctx, st.caller, day, key)
	case n.account != nil:
		ev, err = s.accountEvent(ctx, *n.account)
	case n.book:
		ev, err = s.bookEvent(ctx, st.caller.Account)
	case n.session:
		return nil
	}
	if err != nil {
		return s.fail(ctx, err)
	}
	if ev == nil {
		return nil
	}
	return out.Send(ev)
}

// backlog sends what waits in the device's queue, oldest day first.
func (s *Service) backlog(ctx context.Context, c caller.Caller, out resealv1connect.MailboxServiceEventsServerStream) error {
	today := s.now().Day()
	for day := today - QueueDays; day <= today+1; day++ {
		prefix := records.QueueOf(c.Device)
		for rec, err := range store.Scan(ctx, s.Store, records.DayPartition(c.Account, day), prefix, store.PrefixEnd(prefix), true) {
			if err != nil {
				return err
			}
			ev, err := s.deliver(ctx, c, day, rec.Key)
			if err != nil {
				return err
			}
			if ev == nil {
				continue
			}
			if err := out.Send(ev); err != nil {
				return err
			}
		}
	}
	return nil
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
		return nil, s.commit(ctx, p, new(store.Batch).DeleteOnce(key))
	}
	return ev, nil
}

func (s *Service) fill(ctx context.Context, c caller.Caller, e records.Entry, ev *resealv1.EventsResponse) error {
	p := records.MessagePartition(c.Account, e.Message)
	switch e.Kind {
	case records.EntryMessage:
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
	}
	return nil
}

// accountEvent is a changed account as its watchers are told of it.
func (s *Service) accountEvent(ctx context.Context, a identity.AccountID) (*resealv1.EventsResponse, error) {
	r, err := roster.Read(ctx, s.Store, a)
	if errors.Is(err, roster.ErrUnknown) {
		return nil, nil
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

// Watch replaces the set of accounts that the caller's open stream tells of.
func (s *Service) Watch(ctx context.Context, req *resealv1.WatchRequest) (*resealv1.WatchResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	s.streams.mu.Lock()
	st := s.streams.open[c.Session]
	s.streams.mu.Unlock()
	if st == nil {
		return nil, refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
	}
	if err := s.rewatch(st, req.Watch); err != nil {
		return nil, err
	}
	return &resealv1.WatchResponse{}, nil
}

func (s *Service) rewatch(st *stream, watch [][]byte) error {
	if len(watch) > MaxWatch {
		return refusal.Limit("watched accounts")
	}
	want := map[identity.AccountID]bool{}
	for _, b := range watch {
		if len(b) != len(identity.AccountID{}) {
			return refusal.Malformed("watch")
		}
		if a := identity.AccountID(b); a != st.caller.Account {
			want[a] = true
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.watch == nil {
		return nil // the stream ended meanwhile
	}
	for a, cancel := range st.watch {
		if !want[a] {
			cancel()
			delete(st.watch, a)
		}
	}
	for a := range want {
		if st.watch[a] == nil {
			st.watch[a] = s.Bus.Subscribe(DirectoryTopic(a), func([]byte) { st.hint(news{account: &a}) })
		}
	}
	return nil
}
