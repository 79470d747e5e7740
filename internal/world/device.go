package world

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
)

// Device is one device of an account: its section, and while it runs its engine
// and what its driver does for it, as package reseal does.
type Device struct {
	W       *World
	Account *Account
	Name    string
	ID      identity.DeviceID
	Key     identity.DeviceKey
	State   *State
	// Engine is nil while the device does not run.
	Engine *client.Engine
	// Skew is how far its clock is ahead of the server's.
	Skew time.Duration
	// Files are its ciphertext files.
	Files map[string][]byte
	// Notices are what it told its user since it was made.
	Notices []client.Notice
	// Ended: the server ended its session.
	Ended bool
	// First is its first epoch, with the private halves.
	First *client.EpochKeys

	session, row [32]byte
	join         *resealv1.AddDeviceRequest
	joined       bool

	disk    *disk // nil: State is all there is
	calls   []*call
	flight  map[string]bool
	started time.Duration
	stream  *stream
	synced  bool
	redial  bool // the connection was lost in passing
	watched int
	at      int // the node that it is or was connected to

	credential uint64 // the password number of its session
	liveAt     uint64 // the list's revision when the session was found alive
	liveSince  identity.Time
}

// ErrCrashed is returned by a step at which the device died. It runs again by
// itself; what was asked for may or may not have been noted.
var ErrCrashed = errors.New("world: the device died")

// call is something that the engine wants done.
type call struct {
	key    string
	effect client.Effect
	parked bool
}

// stream is an event stream; its goroutine only appends.
type stream struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	in     []*Event
	end    error
	ended  bool
}

// Event is what a server streams.
type Event = resealv1.EventsResponse

func (s *stream) Receive(msg any) error { return nil }
func (s *stream) SendHeaders() error    { return nil }
func (s *stream) Send(msg any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in = append(s.in, proto.CloneOf(msg.(*Event)))
	return nil
}

// opened is a stream with its request.
type opened struct {
	*stream
	req *resealv1.EventsRequest
}

func (o opened) Receive(msg any) error {
	proto.Merge(msg.(*resealv1.EventsRequest), o.req)
	return nil
}

// Start opens the engine from what is stored and connects.
func (d *Device) Start() {
	d.W.T.Helper()
	d.boot()
	d.Connect()
}

func (d *Device) boot() {
	d.W.T.Helper()
	d.Stop()
	e, err := client.Open(d.State, d.W.rand)
	d.Engine = must(d.W, e, err)
	d.Engine.Use(d.W.memory)
	d.started = d.W.mono
}

// Stop ends the process: what is stored stays.
func (d *Device) Stop() {
	d.hangUp()
	d.Engine, d.calls = nil, nil
	clear(d.flight)
}

// Connect opens the event stream.
func (d *Device) Connect() {
	d.hangUp()
	if d.Ended || d.Engine == nil {
		return
	}
	if !d.W.connects(d) {
		return // no way to any node: the client connects again later
	}
	err := d.node().auth.Live(background, d.caller())
	d.W.served(d)
	switch {
	case refusal.Passing(err):
		return // the server failed meanwhile: the client connects again later
	case err != nil:
		d.sessionEnded()
		return
	}
	ctx, cancel := context.WithCancel(context.WithValue(caller.With(background, d.caller()), streaming{}, true))
	st := &stream{cancel: cancel}
	req := new(resealv1.EventsRequest)
	for _, id := range d.Engine.Watched() {
		req.Watch = append(req.Watch, id[:])
	}
	d.stream, d.watched = st, len(req.Watch)
	d.open(ctx, st, opened{st, req})
	_ = d.Step(client.Connected{})
}

// Disconnect takes the network away.
func (d *Device) Disconnect() {
	d.hangUp()
	if d.Engine != nil {
		_ = d.Step(client.Disconnected{})
	}
	d.calls = nil
	clear(d.flight)
}

func (d *Device) hangUp() {
	if d.stream != nil {
		d.stream.cancel()
	}
	d.stream, d.synced, d.redial = nil, false, false
}

func (d *Device) sessionEnded() {
	d.Ended = true
	d.Stop()
}

func (d *Device) caller() caller.Caller {
	return caller.Caller{Account: d.Account.ID, Device: d.ID, Session: d.session, Credential: d.credential}
}

// Clock is the time as the device knows it.
func (d *Device) Clock() client.Clock {
	c := client.Clock{Wall: d.Now(), Mono: d.W.mono - d.started}
	if d.stream != nil {
		c.Server = d.W.now.Add(d.W.ServerSkew)
	}
	return c
}

// Now is the device's own clock.
func (d *Device) Now() identity.Time { return d.W.now.Add(d.Skew) }

// Tick tells the engine that time passes.
func (d *Device) Tick() {
	if d.Engine != nil {
		_ = d.Step(client.Tick{})
	}
}

// Step lets one event happen at the engine.
func (d *Device) Step(ev client.Event) error {
	d.W.T.Helper()
	if d.Engine == nil {
		d.W.T.Fatalf("world: %s does not run", d.Name)
	}
	death := Lives
	if d.W.Crash != nil {
		death = d.W.Crash(d.W.steps, d)
	}
	d.W.steps++
	out, err := d.Engine.Step(d.Clock(), ev)
	if err != nil && (errors.Is(err, client.ErrState) || !isCommand(ev)) {
		d.W.T.Fatalf("world: %s: %T: %v", d.Name, ev, err)
	}
	if err != nil {
		return err
	}
	if death != BeforeItIs {
		d.W.traceBatch(d, out.Batch)
		if d.commit(out.Batch) != nil {
			death = AfterItIs // or before: the disk knows
		}
	}
	if death != Lives {
		d.Start()
		return ErrCrashed
	}
	for _, f := range out.Effects {
		d.perform(f)
	}
	return nil
}

// isCommand tells whether an event is a user's, which may be refused. Nothing
// else may: what comes from the server is taken or dropped.
func isCommand(ev client.Event) bool {
	switch ev.(type) {
	case client.Connected, client.Disconnected, client.Tick, client.DayRead, client.Synced, client.Streamed, client.Answered,
		client.Uploaded, client.Learned, client.LoggedIn:
		return false
	}
	return true
}

func (d *Device) perform(f client.Effect) {
	key := ""
	switch f := f.(type) {
	case client.Call:
		key = f.Key
	case client.Upload:
		key = "upload/" + f.File
	case client.Forget:
		delete(d.Files, f.File)
		return
	case client.Show:
		d.Notices = append(d.Notices, f.Notice)
		return
	}
	if !d.flight[key] && d.stream != nil {
		d.flight[key] = true
		d.calls = append(d.calls, &call{key: key, effect: f})
	}
}

// Perform does the one thing under way whose key begins so, and reports whether
// there was one.
func (d *Device) Perform(prefix string) bool {
	i := slices.IndexFunc(d.calls, func(c *call) bool { return strings.HasPrefix(c.key, prefix) })
	if i < 0 {
		return false
	}
	d.do(d.calls[i])
	return true
}

// Calls are the keys of all that is under way, sorted.
func (d *Device) Calls() (keys []string) {
	for _, c := range d.calls {
		keys = append(keys, c.key)
	}
	slices.Sort(keys)
	return keys
}

// Knows tells whether the device has an account among its contacts.
func (d *Device) Knows(a *Account) bool {
	_, known := d.State.Get("contact/" + a.ID.String())
	return known || a == d.Account
}

// Holds tells whether any record of the device has these bytes in it.
func (d *Device) Holds(secret []byte) bool {
	for _, v := range d.State.values {
		if bytes.Contains(v, secret) {
			return true
		}
	}
	return false
}
