package demo

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

// patience is how long anything may take that is to happen by itself.
const patience = 60 * time.Second

// person has an account.
type person struct {
	name     string
	handle   string
	password []byte
}

func newPerson(name string) (person, error) {
	var b [15]byte
	if _, err := rand.Read(b[:]); err != nil {
		return person{}, err
	}
	word := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	return person{name, strings.ToLower(name), []byte(word)}, nil
}

// machine is an installation: a folder of its own.
type machine struct {
	s    *story
	name string
	dir  string
	in   *reseal.Installation // nil while it is off
}

// device is a person's account on a machine.
type device struct {
	*reseal.Account
	on *machine
	// since is when it was last logged in or woken up.
	since time.Time
}

// machine makes an installation and opens it.
func (s *story) machine(name string) (*machine, error) {
	m := &machine{s: s, name: name, dir: filepath.Join(s.root, strings.ReplaceAll(name, " ", "-"))}
	s.machines = append(s.machines, m)
	return m, m.open()
}

func (m *machine) open() (err error) {
	m.in, err = reseal.Open(m.dir, reseal.Options{Server: m.s.wire.url(), Now: m.s.now, Rand: m.s.keys})
	return err
}

// off closes the installation, as switching a phone off does.
func (m *machine) off() error {
	if m.in == nil {
		return nil
	}
	for _, a := range m.in.Accounts() {
		m.s.ledger.note(a)
	}
	err := m.in.Close()
	m.in = nil
	return err
}

// on opens it again; nobody types a password.
func (m *machine) on(ctx context.Context) ([]*device, error) {
	since := time.Now()
	if err := m.open(); err != nil {
		return nil, err
	}
	all, err := m.in.Resume(ctx)
	if err != nil {
		return nil, err
	}
	var out []*device
	for _, a := range all {
		out = append(out, &device{a, m, since})
	}
	return out, nil
}

func (s *story) signUp(ctx context.Context, m *machine, p person) (*device, error) {
	since := time.Now()
	a, code, err := m.in.SignUp(ctx, p.handle, p.password)
	if err != nil {
		return nil, err
	}
	s.keys.add("password", p.password)
	s.keys.add("recovery code", []byte(code.Reveal()))
	return &device{a, m, since}, a.Online(ctx)
}

func (s *story) logIn(ctx context.Context, m *machine, p person) (*device, reseal.Login, error) {
	since := time.Now()
	a, how, err := m.in.LogIn(ctx, p.handle, p.password)
	if err != nil {
		return nil, how, err
	}
	return &device{a, m, since}, how, nil
}

func (d *device) logOut(ctx context.Context) error {
	left, err := d.LogOut(ctx, reseal.LogOutOptions{})
	d.on.s.ledger.note(d.Account)
	if err == nil && left != 0 {
		err = fmt.Errorf("%d things are left unsecured", left)
	}
	return err
}

// outgoing says how to send.
type outgoing struct {
	keep    bool
	expires time.Duration
	promise promise
}

// send sends a content and books what is promised of it.
func (s *story) send(ctx context.Context, from *device, c *content, o outgoing, to ...person) ([]*parcel, error) {
	if o.promise == "" {
		o.promise = promiseRead
	}
	out := reseal.Outgoing{Text: c.text, Name: c.name, Type: c.typ, Caption: c.caption, Policy: reseal.Once, Expires: o.expires}
	if o.keep {
		out.Policy = reseal.Keep
	}
	if c.path != "" {
		f, err := c.open()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		out.File, out.Size = f, c.size
	}
	for _, p := range to {
		out.To = append(out.To, p.handle)
	}
	if err := s.secret(c); err != nil {
		return nil, err
	}
	began := time.Now()
	sent, err := from.Send(ctx, out)
	var parcels []*parcel
	for _, x := range sent {
		p := &parcel{content: c, id: x.Message, from: from.Handle(), to: x.To, policy: out.Policy, promise: o.promise, sent: x, began: began}
		parcels = append(parcels, p)
		if x.Message != (reseal.MessageID{}) { // the server has it: from now on it must not be lost
			s.ledger.parcels = append(s.ledger.parcels, p)
		}
	}
	return parcels, err
}

// state is what a device knows of a message.
func (d *device) state(p *parcel) (client.MessageState, error) {
	m, err := d.Find(context.Background(), p.id.String())
	if errors.Is(err, reseal.ErrUnknownMessage) {
		return "", nil
	}
	return m.State, err
}

// await waits until a device knows a message to be in a state.
func (d *device) await(ctx context.Context, p *parcel, want client.MessageState) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		got, err := d.state(p)
		if err != nil || got == want {
			return err
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			if got == "" {
				got = "unknown"
			}
			return fmt.Errorf("the message to %s is %s on %s's %s, not %s", p.to, got, d.Handle(), d.on.name, want)
		}
	}
}

// readable waits until a message can be opened, and tells how long that took:
// from the moment when it was sent, its reader logged in, or the only one who
// could answer came, whichever was last.
func (s *story) readable(ctx context.Context, d *device, p *parcel, since ...time.Time) (time.Duration, error) {
	if err := d.await(ctx, p, client.IsReady); err != nil {
		return 0, err
	}
	now, last := time.Now(), p.began
	for _, t := range append(since, d.since) {
		if t.After(last) {
			last = t
		}
	}
	return now.Sub(last), nil
}

// read opens a message, stores it, and compares it with what was sent.
func (s *story) read(ctx context.Context, d *device, p *parcel) error {
	s.received++
	path := filepath.Join(s.root, "received", fmt.Sprintf("%02d-%s", s.received, d.Handle()))
	err := d.Open(ctx, p.id, func(c reseal.Content) error {
		want := p.content
		switch {
		case c.Message.Handle != p.from:
			return fmt.Errorf("it says it is from %q, not %q", c.Message.Handle, p.from)
		case c.Text != (want.path == "") || c.Name != want.name || c.Caption != want.caption || (want.path != "" && c.Type != want.typ):
			return errors.New("name, type or caption came otherwise than they were sent")
		case c.Size != uint64(want.size):
			return fmt.Errorf("it says it has %d bytes, not %d", c.Size, want.size)
		}
		return store(path, c)
	}, nil)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := p.content.same(f); err != nil {
		return err
	}
	s.compared += p.content.size
	p.kept = p.kept || p.promise == promiseRead
	return nil
}

// store writes a content where it belongs.
func store(path string, c reseal.Content) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.ReadFrom(c.Reader); err != nil {
		return err
	}
	return f.Sync()
}

// refused makes sure that a message cannot be opened, for the right reason.
func (d *device) refused(ctx context.Context, p *parcel, want client.MessageState) error {
	if err := d.await(ctx, p, want); err != nil {
		return err
	}
	err := d.Open(ctx, p.id, func(reseal.Content) error { return errors.New("it was shown") }, nil)
	if e, ok := errors.AsType[*reseal.EndedError](err); ok && e.State.String() == string(want) {
		return nil
	}
	return fmt.Errorf("opening it on %s's %s gave %v, not that it is %s", d.Handle(), d.on.name, err, want)
}
