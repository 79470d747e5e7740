package reseal

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// EventKind says what happened.
type EventKind string

// The kinds of Event. Which fields a kind has is said with each.
const (
	// KindMessage: a message came. ID, Handle (the sender), Ready; State is
	// "update" where it needs a newer version of the program.
	KindMessage EventKind = "message"
	// KindReady: a message that had no key can be opened. ID, Handle, Waited,
	// Retried, By.
	KindReady EventKind = "ready"
	// KindGranted and KindDenied answer Open; applications need not watch them.
	KindGranted EventKind = "granted"
	KindDenied  EventKind = "denied"
	// KindStored and KindNotSent tell what became of a message sent. ID,
	// Handle, Devices, Rewrapped; Err.
	KindStored  EventKind = "stored"
	KindNotSent EventKind = "not_sent"
	// KindAnswered: this device answered somebody's retry request. Handle, Wraps.
	KindAnswered EventKind = "answered"
	// KindReceipt: a device tells of a message. ID, Handle, Device, What.
	KindReceipt EventKind = "receipt"
	// KindEnded: a message is over everywhere. ID, State.
	KindEnded EventKind = "ended"
	// KindListChanged: an account's device list changed. Handle, Own, Added, Removed.
	KindListChanged EventKind = "list_changed"
	// KindAlarm: something signed does not fit what was signed before. Handle, Text.
	KindAlarm EventKind = "alarm"
	// KindRemoved: this device was removed from its account.
	KindRemoved EventKind = "removed"
	// KindSessionEnded: the session was ended; the account is closed here.
	KindSessionEnded EventKind = "session_ended"
	// KindConnected and KindDisconnected tell of the connection.
	KindConnected    EventKind = "connected"
	KindDisconnected EventKind = "disconnected"
	// KindCaughtUp: everything that waited at the server is here.
	KindCaughtUp EventKind = "caught_up"
	// KindAccount: something was done to this account, as the server says; What
	// is "recovery_tried" (with a code that is not the account's), "recovered",
	// "password_changed", "rotated", "reset_asked" (for the time Due, unless
	// [Account.CancelReset] comes before), "reset_tried" (with a code that is not
	// the operator's), "reset_cancelled" or "reset". What, Since, Due, Device.
	KindAccount EventKind = "account"
	// KindClosed: a contact's account was closed, as the server says. Handle.
	KindClosed EventKind = "closed"
	// KindSetting: another device of the account changed a setting. What is its
	// name.
	KindSetting EventKind = "setting"
	// KindTrouble: something failed here, a full disk say; or messages stay at
	// the server, with ErrNoRoom or ErrStrangers; or a contact is known on
	// this device only, with ErrBookFull. Text, Err.
	KindTrouble EventKind = "trouble"
)

// Event is something that happened to an account. See the kinds for the fields
// that each has.
type Event struct {
	Kind EventKind
	Time time.Time
	ID   MessageID
	// Handle is the other account's; empty where it is not known.
	Handle string
	Peer   identity.AccountID
	Device identity.DeviceID
	Ready  bool
	// Waited is the time from when the device knew of the message to its key.
	Waited  time.Duration
	Retried bool
	// By is who gave the key: "sender", "sender's other device", "own device".
	By                 string
	What               string
	State              string
	Devices, Rewrapped int
	Wraps              int
	// Since is when it was done, Due when it will be; zero for unknown.
	Since, Due     time.Time
	Own            bool
	Added, Removed []identity.DeviceID
	Text           string
	Err            error

	client message.ClientID
	file   string // of the upload that this is about
}

// Events yields what happens from now on, until ctx ends or the account is
// closed; the first call also gets what happened since the account was opened.
// A consumer that falls more than 4096 events behind loses the oldest.
func (a *Account) Events(ctx context.Context) iter.Seq[Event] {
	s := a.events.subscribeFirst()
	return func(yield func(Event) bool) {
		defer a.events.cancel(s)
		for {
			e, ok := s.next(ctx)
			if !ok || !yield(e) {
				return
			}
		}
	}
}

// shown turns a notice of the engine into an event. It is called with the
// engine's lock held.
func (a *Account) shown(n client.Notice) {
	e := Event{Time: a.in.o.Now()}
	peer := func(id identity.AccountID) {
		e.Peer = id
		e.Handle = a.engine.HandleOf(id)
	}
	switch n := n.(type) {
	case client.Arrived:
		e.Kind, e.ID, e.Ready = KindMessage, n.ID, n.Ready
		if n.Update {
			e.State = string(StateUpdate)
		}
		peer(n.From)
	case client.Ready:
		e.Kind, e.ID, e.Ready, e.Waited, e.Retried, e.Device = KindReady, n.ID, true, n.Waited, n.Retried, n.ByDevice
		peer(n.From)
		switch {
		case n.ByAccount == a.id:
			e.By = "own device"
		case n.ByDevice == n.SenderDevice:
			e.By = "sender"
		default:
			e.By = "sender's other device"
		}
	case client.Granted:
		e.Kind, e.ID = KindGranted, n.ID
	case client.Denied:
		e.Kind, e.ID, e.Err = KindDenied, n.ID, engineError(n.Why)
	case client.Stored:
		e.Kind, e.ID, e.Devices, e.Rewrapped, e.client = KindStored, n.ID, n.Devices, n.Rewrapped, n.Client
		peer(n.To)
	case client.NotSent:
		peer(n.To)
		e.Kind, e.Err, e.client = KindNotSent, a.sendError(n.Why, e.Handle), n.Client
	case client.Receipted:
		e.Kind, e.ID, e.Device, e.What = KindReceipt, n.ID, n.Device, n.What.String()
		peer(n.By)
	case client.Ended:
		e.Kind, e.ID, e.State = KindEnded, n.ID, n.State.String()
	case client.Answering:
		e.Kind, e.Wraps = KindAnswered, n.Wraps
		peer(n.To)
	case client.ListChanged:
		e.Kind, e.Own, e.Added, e.Removed = KindListChanged, n.Own, n.Added, n.Removed
		peer(n.Account)
	case client.Alarm:
		e.Kind, e.Text = KindAlarm, n.Why
		peer(n.Account)
	case client.Removed:
		e.Kind = KindRemoved
	case client.AccountNotice:
		e.Kind, e.What, e.Device, e.Since = KindAccount, noticeName(n.What), n.Device, n.At.Time()
		if n.Due != 0 {
			e.Due = n.Due.Time()
		}
	case client.AccountClosed:
		e.Kind = KindClosed
		peer(n.Account)
	case client.NoRoom:
		e.Kind, e.Err = KindTrouble, ErrNoRoom
		if n.Strangers {
			e.Err = ErrStrangers
		}
		e.Text = e.Err.Error()
	case client.BookFull:
		e.Kind, e.Err, e.Text = KindTrouble, ErrBookFull, ErrBookFull.Error()
	case client.SettingChanged:
		e.Kind, e.What = KindSetting, n.Name
	case client.CaughtUp:
		e.Kind = KindCaughtUp
	default:
		return
	}
	a.events.send(e)
}

// noticeName is what an account notice is about, in a word: "recovery_tried".
func noticeName(w resealv1.AccountNotice_What) string {
	if _, ok := resealv1.AccountNotice_What_name[int32(w)]; !ok {
		return "unknown"
	}
	return strings.ToLower(strings.TrimPrefix(w.String(), "WHAT_"))
}

// maxBehind is how many events wait for one consumer.
const maxBehind = 4096

// broadcaster gives every event to every subscriber, without waiting for any.
type broadcaster struct {
	mu     sync.Mutex
	subs   map[*subscriber]struct{}
	closed bool
	// early is what happened before the first consumer of the application
	// came; had tells that it has come.
	early []Event
	had   bool
}

type subscriber struct {
	// wants tells which events it gets; nil is all.
	wants func(Event) bool

	mu     sync.Mutex
	queue  []Event
	wake   chan struct{}
	closed bool
}

// subscribeFirst is subscribe for a consumer of the application: the first one
// gets what it may have missed.
func (b *broadcaster) subscribeFirst() *subscriber {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.add()
	s.queue = b.early
	b.early, b.had = nil, true
	s.signal()
	return s
}

// subscribe is for who waits for certain events within this package: whatever
// else happens meanwhile, and however much, must not push those out.
func (b *broadcaster) subscribe(wants func(Event) bool) *subscriber {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.add()
	s.wants = wants
	return s
}

// add is called with the lock held.
func (b *broadcaster) add() *subscriber {
	s := &subscriber{wake: make(chan struct{}, 1)}
	if b.subs == nil {
		b.subs = map[*subscriber]struct{}{}
	}
	if b.closed {
		s.closed = true
		return s
	}
	b.subs[s] = struct{}{}
	return s
}

func (b *broadcaster) cancel(s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subs, s)
}

func (b *broadcaster) send(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.had && len(b.early) < maxBehind {
		b.early = append(b.early, e)
	}
	for s := range b.subs {
		s.put(e)
	}
}

func (b *broadcaster) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for s := range b.subs {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.signal()
	}
	b.subs = nil
}

func (s *subscriber) put(e Event) {
	if s.wants != nil && !s.wants(e) {
		return
	}
	s.mu.Lock()
	if len(s.queue) >= maxBehind {
		s.queue = s.queue[1:]
	}
	s.queue = append(s.queue, e)
	s.mu.Unlock()
	s.signal()
}

func (s *subscriber) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next waits for an event; ok is false when ctx ended or nothing comes any more.
func (s *subscriber) next(ctx context.Context) (Event, bool) {
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			e := s.queue[0]
			s.queue = s.queue[1:]
			s.mu.Unlock()
			return e, true
		}
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return Event{}, false
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Event{}, false
		}
	}
}
