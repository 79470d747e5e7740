package small

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"reflect"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// device is one device in one state. It is never changed.
type device struct {
	n       uint32 // which of all states of devices
	who     int    // which of the devices
	history [32]byte
	state   *world.State
	engine  *client.Engine
	online  bool
	synced  bool
	heard   []string // names of the entries that came on this connection
	calls   []call   // under way
	granted uint8    // a bit for each message whose view was ever granted here
	shows   uint8    // of those that are being shown
	did     uint8    // a bit for each send and unsend that its user did
	lives   uint8    // how often it was started
}

// call is what an engine wants of the server.
type call struct {
	client.Call
	hash [32]byte
}

// input is what a device takes in one step.
type input struct {
	label  string // tells it from every other one
	events []client.Event
	dies   bool // after the step is durable, before its effects
	change func(*device)
}

var exactly = proto.MarshalOptions{Deterministic: true}

// seed makes all randomness that follows that of h: what cryptography draws for
// itself comes from the source that cryptotest put in the place of the system's.
func seed(h [32]byte) *mrand.ChaCha8 {
	p := reflect.ValueOf(rand.Reader).Elem().FieldByName("r").UnsafePointer()
	(*mrand.ChaCha8)(p).Seed(h)
	return mrand.NewChaCha8(sha256.Sum256(h[:]))
}

// step is the device after an input.
func (s *search) step(d *device, in input, now moment) *device {
	key := stepKey{d.n, fmt.Sprintf("%s %v %d", in.label, in.dies, now)}
	if next, ok := s.steps[key]; ok {
		return next
	}
	next := *d
	next.history = sha256.Sum256(fmt.Appendf(d.history[:len(d.history):len(d.history)], "%s", key.what))
	source := seed(next.history)
	next.state = d.state.Clone()
	next.engine = d.engine.Fork(next.state, source)
	if in.change != nil {
		in.change(&next)
	}
	for _, ev := range in.events {
		if !s.take(&next, ev, in.dies, now) {
			break
		}
	}
	if in.dies {
		s.restart(&next)
	}
	out := s.known(&next)
	s.steps[key] = out
	return out
}

type stepKey struct {
	device uint32
	what   string
}

// take lets one event happen, and reports whether the device goes on.
func (s *search) take(d *device, ev client.Event, dies bool, now moment) bool {
	out, err := d.engine.Step(clock(now, d.online), ev)
	if errors.Is(err, client.ErrState) {
		s.fail("%s: %T: %v", s.names[d.who], ev, err)
	}
	if err != nil {
		return true // a command that is refused
	}
	d.state.Commit(out.Batch)
	if dies {
		return true
	}
	for _, f := range out.Effects {
		switch f := f.(type) {
		case client.Call:
			if d.online && !slices.ContainsFunc(d.calls, func(c call) bool { return c.Key == f.Key }) {
				b, err := exactly.Marshal(f.Request)
				s.must(err)
				d.calls = append(slices.Clone(d.calls), call{f, sha256.Sum256(fmt.Appendf(b, "%T %s", f.Request, f.Key))})
			}
		case client.Show:
			if g, ok := f.Notice.(client.Granted); ok {
				if i := s.index(g.ID); i >= 0 {
					d.granted, d.shows = d.granted|1<<i, d.shows|1<<i
				}
			}
		}
	}
	return true
}

// restart is the process anew, from what is durable.
func (s *search) restart(d *device) {
	d.lives++
	h := sha256.New()
	fmt.Fprint(h, d.who, d.lives, d.granted, d.did)
	for name, v := range d.state.Range("") {
		fmt.Fprintf(h, "%q %x\n", name, v)
	}
	d.history = [32]byte(h.Sum(nil))
	e, err := client.Open(d.state, seed(d.history))
	s.must(err)
	d.engine, d.online, d.synced, d.heard, d.calls, d.shows = e, false, false, nil, nil, 0
}

// known is the one device that is in this state.
func (s *search) known(d *device) *device {
	key := sha256.Sum256(fmt.Appendf(nil, "%x %v %v %q %d %d %d", d.history, d.online, d.synced, d.heard, d.granted, d.shows, d.did))
	if n, ok := s.byState[key]; ok {
		return s.devices[n]
	}
	d.n = uint32(len(s.devices))
	s.byState[key], s.devices = d.n, append(s.devices, d)
	s.ended(d)
	return d
}

// ended: what has ended leaves no key on a device that knows of it.
func (s *search) ended(d *device) {
	for i, m := range s.messages {
		got, _, err := d.engine.Get(base, m.id)
		if err != nil || m.policy != message.Once {
			continue
		}
		switch got.State {
		case client.IsViewed, client.IsUnsent, client.Expired:
			for name, v := range d.state.Range("") {
				if contains(v, m.content.CEK[:]) {
					s.fail("%s keeps the key of message %d, which is %s, in %s", s.names[d.who], i, got.State, name)
				}
			}
		}
	}
}

// moment counts times: in one that follows another, minutes have passed.
type moment uint32

var (
	start = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	base  = identity.TimeOf(start)
)

func at(now moment) time.Time { return start.Add(time.Duration(now) * 3 * time.Minute) }

func clock(now moment, online bool) client.Clock {
	c := client.Clock{Wall: identity.TimeOf(at(now)), Mono: time.Hour + time.Duration(now)*3*time.Minute}
	if online {
		c.Server = c.Wall
	}
	return c
}
