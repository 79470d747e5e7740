package mailbox

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
)

// streams are the open event streams of this node, by account and session.
type streams struct {
	mu   sync.Mutex
	open map[identity.AccountID]map[[32]byte][]*stream
	n    int
}

// maxStreams is how many event streams one session may have: one that is used,
// and those of lost connections that nobody has noticed yet.
const maxStreams = 4

// maxAccountStreams is how many the sessions of one account may have together:
// more than its devices use, and few enough that nobody fills the node's memory.
const maxAccountStreams = 64

// stream is one open event stream. Hints come in through hint, which never
// blocks: when too many wait, lost tells the client to read its days again.
type stream struct {
	caller caller.Caller
	some   chan struct{} // of size 1: hints wait
	end    chan struct{} // closed: newer streams took its place
	lost   atomic.Bool   // not under mu: hints come while the bus is locked
	// waiting are the hints, at most backlog. A slice: most streams are idle, and
	// a channel has room for all from the start.
	hints   sync.Mutex
	waiting []news
	// sent has the names of the queue entries that went out on this stream and
	// were still there at the last sweep; of the stream's own goroutine.
	sent  map[string]struct{}
	turn  uint32 // of the older days, see oldDays
	mu    sync.Mutex
	watch map[identity.AccountID]func()
}

// news is a hint that concerns a stream.
type news struct {
	entry   []byte              // a queue entry's name
	account *identity.AccountID // a list or certificate changed
	session bool                // sessions changed; look whether this one lives
	check   bool                // look whether the session lives
	book    bool
}

func (st *stream) hint(n news) {
	st.hints.Lock()
	if len(st.waiting) < backlog {
		st.waiting = append(st.waiting, n)
	} else {
		st.lost.Store(true)
	}
	st.hints.Unlock()
	select {
	case st.some <- struct{}{}:
	default:
	}
}

// take is what waits.
func (st *stream) take() []news {
	st.hints.Lock()
	defer st.hints.Unlock()
	all := st.waiting
	st.waiting = nil
	return all
}

// Online tells which of an account's devices have an open stream on this node, in
// the order of their ids.
func (s *Service) Online(a identity.AccountID) []identity.DeviceID {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	var ids []identity.DeviceID
	for _, open := range s.streams.open[a] {
		ids = append(ids, open[0].caller.Device)
	}
	slices.SortFunc(ids, func(a, b identity.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// Streams is how many event streams are open on this node.
func (s *Service) Streams() int {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	return s.streams.n
}

func (s *Service) register(st *stream) error {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	if s.streams.open == nil {
		s.streams.open = map[identity.AccountID]map[[32]byte][]*stream{}
	}
	sessions := s.streams.open[st.caller.Account]
	if sessions == nil {
		sessions = map[[32]byte][]*stream{}
		s.streams.open[st.caller.Account] = sessions
	}
	n := 0
	for _, open := range sessions {
		n += len(open)
	}
	open := append(sessions[st.caller.Session], st)
	if n >= maxAccountStreams && len(open) <= maxStreams {
		return refusal.Limit("event streams")
	}
	s.streams.n++
	if len(open) > maxStreams {
		close(open[0].end)
		open = slices.Delete(open, 0, 1)
		s.streams.n--
	}
	sessions[st.caller.Session] = open
	return nil
}

func (s *Service) close(st *stream) {
	s.streams.mu.Lock()
	sessions := s.streams.open[st.caller.Account]
	was := len(sessions[st.caller.Session])
	open := slices.DeleteFunc(sessions[st.caller.Session], func(o *stream) bool { return o == st })
	s.streams.n -= was - len(open) // none, where newer streams took its place
	if sessions != nil {
		sessions[st.caller.Session] = open
	}
	if len(open) == 0 {
		delete(sessions, st.caller.Session)
	}
	if len(sessions) == 0 {
		delete(s.streams.open, st.caller.Account)
	}
	s.streams.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, cancel := range st.watch {
		cancel()
	}
	st.watch = nil
}

// Watch replaces the set of accounts that the caller's open stream tells of.
func (s *Service) Watch(ctx context.Context, req *resealv1.WatchRequest) (*resealv1.WatchResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	s.streams.mu.Lock()
	var st *stream
	if open := s.streams.open[c.Account][c.Session]; len(open) > 0 {
		st = open[len(open)-1]
	}
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
