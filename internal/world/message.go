package world

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
	"github.com/reseal/reseal/store"
)

func passing() error { return refusal.New(resealv1.Reason_REASON_UNAVAILABLE) }

// Message is a message that a test had sent.
type Message struct {
	From    *Device
	To      *Account
	Client  message.ClientID
	Content client.AddContent
	id      message.ID
}

// ID is the message's id; zero while the device has not made it.
func (m *Message) ID() message.ID {
	if m.id == (message.ID{}) && m.From.Engine != nil {
		all, err := m.From.Engine.SentMessages(m.From.Now())
		must(m.From.W, all, err)
		for _, s := range all {
			if s.Client == m.Client {
				m.id = s.ID
			}
		}
	}
	return m.id
}

// Content makes a content. The engine does not look into ciphertext, so it is
// any bytes: inline, or with blob set a file.
func (d *Device) Content(blob bool) client.AddContent {
	w := d.W
	c := client.AddContent{Created: d.Now(), Name: "photo.jpg", Type: "image/jpeg"}
	_, _ = w.rand.Read(c.ID[:])
	_, _ = w.rand.Read(c.CEK[:])
	body := make([]byte, 300)
	_, _ = w.rand.Read(body)
	c.Digest, c.Length, c.Size = sha256.Sum256(body), uint64(len(body)), 100
	if !blob {
		c.Inline, c.Segments = body, []byte("segments")
		return c
	}
	_, _ = w.rand.Read(c.Blob[:])
	c.File = fmt.Sprintf("%x", c.ID)
	d.Files[c.File] = body
	return c
}

// Meet looks an account up by its handle and pins it.
func (d *Device) Meet(a *Account) {
	d.W.T.Helper()
	must(d.W, 0, d.TryMeet(a))
}

// TryMeet is Meet; the error is that of the call or of the engine.
func (d *Device) TryMeet(a *Account) error {
	d.W.T.Helper()
	x := d.W.exchange(d, &resealv1.LookupRequest{Handle: a.Handle})
	if x.Err != nil {
		return x.Err
	}
	return d.Do(client.AddContact{Keys: x.Response.(*resealv1.LookupResponse).Account})
}

// Send sends a fresh inline content to an account, which it meets if need be. It
// happens when the world runs.
func (d *Device) Send(p message.Policy, to *Account) *Message {
	d.W.T.Helper()
	return d.SendContent(d.Content(false), p, message.MaxLife, to)[0]
}

// SendContent sends one content to accounts, which the device meets if need be.
func (d *Device) SendContent(c client.AddContent, p message.Policy, life time.Duration, to ...*Account) []*Message {
	d.W.T.Helper()
	for _, a := range to {
		if !d.Knows(a) {
			d.Meet(a)
		}
	}
	all, err := d.TrySend(c, p, life, to...)
	return must(d.W, all, err)
}

// TrySend sends one content to accounts that the device knows; the error is the
// engine's answer.
func (d *Device) TrySend(c client.AddContent, p message.Policy, life time.Duration, to ...*Account) (all []*Message, err error) {
	d.W.T.Helper()
	cmd := client.Send{Content: c.ID, Policy: p, Life: life}
	for _, a := range to {
		m := &Message{From: d, To: a, Content: c}
		_, _ = d.W.rand.Read(m.Client[:])
		cmd.To = append(cmd.To, client.Recipient{Account: a.ID, Client: m.Client})
		all = append(all, m)
	}
	if err := d.Do(c); err != nil {
		return nil, err
	}
	return all, d.Do(cmd)
}

// Do steps until the device lives through it: commands may be repeated. A device
// whose session has ended meanwhile does not run again.
func (d *Device) Do(ev client.Event) error {
	for {
		if err := d.Step(ev); err != ErrCrashed || d.Engine == nil {
			return err
		}
	}
}

// Is is where a message stands on a device; empty if it does not know it.
func (d *Device) Is(m *Message) client.MessageState {
	d.W.T.Helper()
	got, _, err := d.Engine.Get(d.Now(), m.ID())
	if err != nil {
		return ""
	}
	return got.State
}

// Opens tells whether a device has the very key and ciphertext of a message.
func (d *Device) Opens(m *Message) bool {
	o, err := d.Engine.Opening(d.Now(), m.ID())
	if err != nil || o.CEK != m.Content.CEK || o.Header.Digest != m.Content.Digest {
		return false
	}
	return o.Header.Blob == m.Content.Blob && bytes.Equal(o.Inline, m.Content.Inline)
}

// Claim begins to view a message, up to the grant or its refusal.
func (d *Device) Claim(m *Message) error {
	n := len(d.Notices)
	if err := d.Do(client.View{ID: m.ID()}); err != nil {
		return err
	}
	d.W.Run()
	for _, x := range d.Notices[n:] {
		switch x := x.(type) {
		case client.Granted:
			if x.ID == m.ID() {
				return nil
			}
		case client.Denied:
			if x.ID == m.ID() {
				return x.Why
			}
		}
	}
	return fmt.Errorf("world: %s: neither granted nor denied", d.Name)
}

// View views a message, and lets everybody hear of it.
func (d *Device) View(m *Message) error {
	if err := d.Claim(m); err != nil {
		return err
	}
	err := d.Do(client.Viewed{ID: m.ID()})
	d.W.Run()
	return err
}

// Readable fails the test unless the devices can open a message.
func (w *World) Readable(m *Message, on ...*Device) {
	w.T.Helper()
	for _, d := range on {
		if !d.Opens(m) {
			w.T.Fatalf("%s cannot open the message: %q", d.Name, d.Is(m))
		}
	}
}

// State fails the test unless a message stands so on the devices.
func (w *World) State(m *Message, want client.MessageState, on ...*Device) {
	w.T.Helper()
	for _, d := range on {
		if got := d.Is(m); got != want {
			w.T.Fatalf("%s has the message %q, want %q", d.Name, got, want)
		}
	}
}

// Told counts the notices of one kind that a device gave.
func Told[N client.Notice](d *Device) (n int) {
	for _, x := range d.Notices {
		if _, ok := x.(N); ok {
			n++
		}
	}
	return n
}

// Orphans names every current device of an account that has, for a message that
// is pending at the server, neither a wrap nor an open request, by the server's
// records.
func (w *World) Orphans() []string {
	w.T.Helper()
	return w.OrphansOn(func(identity.DeviceID) bool { return true })
}

// OrphansOn is Orphans for some of the devices.
func (w *World) OrphansOn(mean func(identity.DeviceID) bool) (all []string) {
	w.T.Helper()
	for _, a := range w.accounts {
		l := a.List()
		if l == nil {
			continue
		}
		for day := w.now.Day() - 40; day <= w.now.Day()+1; day++ {
			p := records.DayPartition(a.ID, day)
			for _, rec := range w.scan(p, records.Messages) {
				m, err := records.ParseMessage(rec.Value)
				must(w, m, err)
				h, err := message.ParseHeader(m.Header)
				must(w, h, err)
				for _, d := range l.List.Devices {
					own := h.Sender == a.ID && h.SenderDevice == d.ID
					if mean(d.ID) && !own && !w.hasEnd(p, h.ID) && !w.hasWrap(p, m, h.ID, d.ID) && !w.hasRequest(a, h.ID, d.ID) {
						all = append(all, fmt.Sprintf("%v on %v", h.ID, d.ID))
					}
				}
			}
		}
	}
	return all
}

func (w *World) scan(p store.Partition, prefix store.Key) (all []store.Record) {
	for rec, err := range store.Scan(background, w.store.Store, p, prefix, store.PrefixEnd(prefix), false) {
		all = append(all, must(w, rec, err))
	}
	return all
}

func (w *World) hasEnd(p store.Partition, id message.ID) bool {
	_, err := w.store.Store.Get(background, p, records.EndKey(id))
	return err == nil
}

func (w *World) hasWrap(p store.Partition, m records.Message, id message.ID, d identity.DeviceID) bool {
	for _, b := range m.Wraps {
		if x, err := message.ParseWrap(b); err == nil && x.Context.To.Device == d {
			return true
		}
	}
	return len(w.scan(p, records.WrapsOf(id)+store.Key(d[:])+"/")) > 0
}

func (w *World) hasRequest(a *Account, id message.ID, d identity.DeviceID) bool {
	for day := w.now.Day() - 40; day <= w.now.Day(); day++ {
		for _, rec := range w.scan(records.DayPartition(a.ID, day), records.Requests) {
			r, err := retry.ParseRequest(rec.Value)
			must(w, 0, err)
			for _, m := range r.Request.Messages {
				if m == id && r.Request.Device == d {
					return true
				}
			}
		}
	}
	return false
}

// Pending tells whether the server holds a message for its recipient.
func (w *World) Pending(m *Message) bool {
	_, err := w.store.Store.Get(background, records.MessagePartition(m.To.ID, m.ID()), records.MessageKey(m.ID()))
	return err == nil
}
