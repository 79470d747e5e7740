package client

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// ErrState is returned when a stored record cannot be read: the client
// database is damaged, or was written by a newer version.
var ErrState = errors.New("client: damaged record in the client database")

// Clock is the time as a caller knows it at one step.
type Clock struct {
	// Wall is the device's own clock.
	Wall identity.Time
	// Mono is a monotonic reading, from any origin that stays for the life
	// of the Engine.
	Mono time.Duration
	// Server is the time as the server told it, carried forward; 0 while no
	// server has told it. It confirms an expiry, never more.
	Server identity.Time
}

// Engine is one device of one account. See the package documentation.
type Engine struct {
	state State
	rand  io.Reader
	self  *state.Self
	id    ids
	count figures
	// pastExpiry holds the monotonic time of the first tick that saw the
	// wall clock past a message's expiry (erasing needs two, an hour apart).
	pastExpiry map[string]time.Duration
	// behind tells that a complete sync has not been made since the engine
	// was opened or disconnected: nothing is asked for before.
	behind bool
	// noCert holds certificates that the server was asked for since Connected
	// and does not have.
	noCert map[string]bool
	// connectedAt is when the sync under way began, at the latest.
	connectedAt identity.Time
	// backAt is from when the connection under way counts for its user.
	backAt identity.Time
	// offered is the version of the own list that the server was given again on
	// this connection.
	offered uint64
	// budgets and late bound what a server can make this device ask.
	budgets map[string]budget
	late    map[string]bool
	// views are the messages that somebody opens. A process that starts anew has
	// nobody who does: its old intents claim nothing.
	views  map[message.ID]viewing
	memory *Memory
	// server is the server's time at the last step that knew it.
	server identity.Time
	// bookGetting tells that the book is being fetched; bookPutting is what the
	// one PutBook under way contains: a second one of the same version would
	// not be sent, and its content taken for what the server has.
	bookGetting bool
	// bookMissed is the newest version that the server named while the book was being
	// fetched, 0 for none: the answer under way may be from before it.
	bookMissed uint64
	// bookSeen tells that the server has named a version of the book on this
	// connection: one that has a book does so before all that waits was read.
	bookSeen    bool
	bookPutting []byte
	// bookPutKey is the call that puts it; bookPuts counts those.
	bookPutKey string
	bookPuts   uint64
	// bookOver is one more than the version that the book is put over, where the
	// server has an older one than this device; 0 otherwise.
	bookOver  uint64
	rereading rereading
	asker     asker
	// watched is what Watched returns, nil where it has to be made anew.
	watched []identity.AccountID
}

// ids are the fixed ids of an engine, decoded once.
type ids struct {
	account identity.AccountID
	device  identity.DeviceID
	key     identity.DeviceKey
}

// Open returns the engine of the device whose records st holds. rand gives
// ids, nonces and fresh keys; crypto/hpke and AES-GCM take their randomness
// from the operating system.
func Open(st State, rand io.Reader) (*Engine, error) {
	e := &Engine{state: st, rand: rand, self: new(state.Self), pastExpiry: map[string]time.Duration{}, behind: true, noCert: map[string]bool{}, views: map[message.ID]viewing{}, memory: NewMemory(), budgets: map[string]budget{}, late: map[string]bool{}}
	b, ok := st.Get(nameSelf)
	if !ok {
		return nil, fmt.Errorf("%w: no self", ErrState)
	}
	e.loadFigures()
	return e, e.loadSelf(b)
}

func (e *Engine) loadSelf(b []byte) error {
	self := new(state.Self)
	if err := proto.Unmarshal(b, self); err != nil {
		return fmt.Errorf("%w: self", ErrState)
	}
	key, err := identity.DeviceKeyFromSeed(self.DeviceSeed)
	if err != nil || len(self.Account) != 16 || len(self.Device) != 16 {
		return fmt.Errorf("%w: self", ErrState)
	}
	e.self = self
	e.id = ids{identity.AccountID(self.Account), identity.DeviceID(self.Device), key}
	return nil
}

// Account is the account's id.
func (e *Engine) Account() identity.AccountID { return e.id.account }

// Device is this device's id.
func (e *Engine) Device() identity.DeviceID { return e.id.device }

// Handle is the account's own handle.
func (e *Engine) Handle() string { return e.self.Handle }

// Counters are the device's figures since it was made.
func (e *Engine) Counters() Counters { return e.count.Counters }

// Times are the device's times to readable since it was made: of the messages
// that needed no retry, and of those that did.
func (e *Engine) Times() (atOnce, retried Times) { return e.count.atOnce, e.count.retried }

// Wipe forgets everything but the counters: the engine knows nobody and has no
// key any more. Step must not be called afterwards.
func (e *Engine) Wipe() {
	for _, b := range [][]byte{e.self.DeviceSeed, e.self.BookKey, e.self.NextBookKey, e.self.NextRowKey} {
		clear(b)
	}
	*e = Engine{state: nothing{}, rand: e.rand, self: new(state.Self), count: e.count, behind: true}
}

// nothing is a State without records.
type nothing struct{}

func (nothing) Get(string) ([]byte, bool)              { return nil, false }
func (nothing) Range(string) iter.Seq2[string, []byte] { return func(func(string, []byte) bool) {} }
func (nothing) Names(string) []string                  { return nil }
func (nothing) Size() int                              { return 0 }

// Output is what follows from one step.
type Output struct {
	// Batch must be durable before any of the effects is carried out.
	Batch Batch
	// Effects may be carried out in any order and more than once.
	Effects []Effect
}

// Step lets one event happen. An error is the answer to a command that cannot
// be done (or ErrState); then nothing changes. A caller that could not store
// the batch drops the Engine and opens it again from what is stored.
func (e *Engine) Step(c Clock, ev Event) (Output, error) {
	s := &step{e: e, clock: c, now: c.Wall, tx: tx{under: e.state, over: map[string]*[]byte{}}}
	e.server = c.Server
	err := s.handle(ev)
	var count figures
	if err == nil {
		s.noteBook()
		count = s.saveFigures(ev)
		err = s.tx.err
	}
	if err != nil {
		return Output{}, err
	}
	if s.self != nil {
		e.self = s.self
	}
	e.count = count
	for _, name := range s.tx.order {
		if strings.HasPrefix(name, prefixContact) {
			e.watched = nil
			break
		}
	}
	return Output{Batch: s.tx.batch(), Effects: s.effects}, nil
}

// list parses and verifies a signed list, once for the same bytes.
func (e *Engine) list(b []byte) (*identity.SignedList, error) { return e.memory.list(b) }

// step is one event being handled.
type step struct {
	e       *Engine
	self    *state.Self
	clock   Clock
	now     identity.Time
	tx      tx
	effects []Effect
	count   Counters
	// waited are the messages that have become readable.
	waited []wait
	// live tells that what arrives comes over the event stream, after a sync.
	live bool
	// dirty are the contacts that the book has to follow.
	dirty map[identity.AccountID]bool
	// chosen are those whose key the user picked.
	chosen []identity.AccountID
}

func (s *step) do(f Effect)   { s.effects = append(s.effects, f) }
func (s *step) show(n Notice) { s.do(Show{n}) }

// me is the self record as this step has it.
func (s *step) me() *state.Self {
	if s.self != nil {
		return s.self
	}
	return s.e.self
}

// edit changes the self record, for this step and, once it succeeds, for good.
func (s *step) edit(f func(*state.Self)) {
	if s.self == nil {
		s.self = proto.CloneOf(s.e.self)
	}
	f(s.self)
	s.tx.save(nameSelf, s.self)
}

func (s *step) handle(ev Event) error {
	switch ev := ev.(type) {
	case Connected:
		s.e.behind, s.e.noCert, s.e.connectedAt = true, map[string]bool{}, s.now
		s.e.backAt = s.now
		if ev.Since != 0 && ev.Since < s.now {
			s.e.backAt = ev.Since
		}
		s.e.rereading = rereading{last: s.e.rereading.last}
		s.e.offered = 0
		s.beforeProbe()
		return s.outstanding()
	case Disconnected:
		s.e.behind = true
		return nil
	case Tick:
		return s.tick()
	case DayRead:
		return s.dayRead(ev)
	case Synced:
		return s.synced(ev)
	case Streamed:
		return s.streamed(ev.Event)
	case Answered:
		return s.answered(ev)
	case Learned:
		s.learn(ev.Accounts, complete)
		return nil
	case LoggedIn:
		s.learned(s.ownKeys(&resealv1.AccountKeys{List: ev.List}, passing))
		return nil
	case AddContact:
		return s.addContact(ev)
	case AddContent:
		return s.addContent(ev)
	case DropContent:
		return s.dropContent(ev)
	case Uploaded:
		return s.uploaded(ev)
	case Send:
		return s.send(ev)
	case Cancel:
		return s.cancel(ev)
	case Unsend:
		return s.unsend(ev)
	case View:
		return s.view(ev)
	case Downloaded:
		return s.downloaded(ev)
	case Viewed:
		return s.viewed(ev)
	case Unreadable:
		return s.unreadable(ev)
	case EndView:
		delete(s.e.views, ev.ID)
		return nil
	case ChangeContact:
		return s.changeContact(ev)
	case SetSetting:
		return s.setSetting(ev)
	case OwnList:
		return s.ownList(ev)
	case Rotating:
		return s.rotating(ev)
	case Retagged:
		return s.retagged()
	case Skipped:
		return s.skipped(ev)
	}
	return fmt.Errorf("client: internal error: unknown event %T", ev)
}
