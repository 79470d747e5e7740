package reseal

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
)

// bearer is the session's token. It goes into Authorization headers only.
func (a *Account) bearer() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return string(a.token)
}

// Message is a message as this device knows it.
type Message struct {
	ID MessageID
	// Outgoing tells that the account sent it; Handle is the other account's.
	Outgoing bool
	Handle   string
	Peer     identity.AccountID
	// Stranger: the sender is no contact yet.
	Stranger bool
	State    client.MessageState
	Policy   Policy
	Sent     time.Time
	Expires  time.Time
	// Kind is "text" or "file", "" while that is not known here: it stands
	// inside the content.
	Kind                string
	Name, Type, Caption string
	// Size is the content's once it is known, before that 0. Ciphertext is the
	// length of what lies at the server, bytes.
	Size, Ciphertext uint64
	// Opened: a kept message was opened on this device before.
	Opened   bool
	Receipts []Receipt
	// OtherDevice: another device of the account sent it.
	OtherDevice bool
	// Why it was refused.
	Why string
}

// Receipt is what one device told of a message.
type Receipt struct {
	Account identity.AccountID
	Device  identity.DeviceID
	// What is "received", "seen", "viewed" or "unsent".
	What string
	Time time.Time
}

// InboxOptions choose what Inbox lists.
type InboxOptions struct {
	// Ended includes what was viewed, has expired, or was unsent.
	Ended bool
	// Sent lists the messages of the account instead.
	Sent bool
}

// Inbox lists messages, oldest first. It needs no connection; Online first
// gives what has come meanwhile.
func (a *Account) Inbox(_ context.Context, o InboxOptions) ([]Message, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	if o.Sent {
		all, err := a.engine.SentMessages(a.in.now())
		return messages(all, true), engineError(err)
	}
	all, err := a.engine.Inbox(a.in.now(), o.Ended)
	return messages(all, false), engineError(err)
}

func messages(all []client.Message, sent bool) []Message {
	out := make([]Message, len(all))
	for i, m := range all {
		out[i] = messageOf(m, sent)
	}
	return out
}

func messageOf(m client.Message, sent bool) Message {
	if m.Header.Created == 0 { // of a newer version
		return Message{ID: m.ID, State: m.State}
	}
	out := Message{
		ID: m.ID, Outgoing: sent, Handle: m.Handle, Peer: m.Peer, Stranger: m.Stranger, State: m.State,
		Policy: m.Header.Policy, Sent: m.Header.Created.Time(), Expires: m.Header.Expires.Time(),
		Name: m.Name, Type: m.Type, Caption: m.Caption, Size: m.Size, Ciphertext: m.Header.Length,
		Opened: m.Opened, OtherDevice: m.Copy, Why: m.Why,
	}
	switch {
	case m.Type == textType:
		out.Kind, out.Type = "text", "text/plain; charset=utf-8"
	case m.Type != "" || m.Name != "" || m.Size != 0:
		out.Kind = "file"
	}
	for _, r := range m.Receipts {
		out.Receipts = append(out.Receipts, Receipt{r.Account, r.Device, r.What.String(), r.Time.Time()})
	}
	return out
}

// Find is the one message whose id begins with prefix: of the whole id, or of
// its part after the first 8 digits, which are the day. Errors:
// ErrUnknownMessage, ErrAmbiguous.
func (a *Account) Find(_ context.Context, prefix string) (Message, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return Message{}, ErrClosed
	}
	prefix = strings.ToLower(prefix)
	if prefix == "" || len(prefix) > 64 {
		return Message{}, ErrUnknownMessage
	}
	if _, err := hex.DecodeString(prefix + strings.Repeat("0", len(prefix)%2)); err != nil {
		return Message{}, ErrUnknownMessage
	}
	in, err := a.engine.Inbox(a.in.now(), true)
	if err != nil {
		return Message{}, engineError(err)
	}
	sent, err := a.engine.SentMessages(a.in.now())
	if err != nil {
		return Message{}, engineError(err)
	}
	var found []Message
	for _, m := range append(messages(in, false), messages(sent, true)...) {
		id := m.ID.String()
		if strings.HasPrefix(id, prefix) || strings.HasPrefix(id[8:], prefix) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return Message{}, ErrUnknownMessage
	case 1:
		return found[0], nil
	}
	return Message{}, ErrAmbiguous
}

// Unsend ends a message of the account everywhere, whatever has become of it
// short of a view. Errors: ErrUnknownMessage, *EndedError.
func (a *Account) Unsend(_ context.Context, id MessageID) error { return a.step(client.Unsend{ID: id}) }

// Settle waits until nothing that this device has to tell the server is under
// way any more: sends, receipts, answers.
func (a *Account) Settle(ctx context.Context) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		if a.Unsecured() == 0 && a.flights.quiet() {
			return nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ended(ctx)
		case <-a.ctx.Done():
			return context.Cause(a.ctx)
		}
	}
}

// Unsecured counts what the server does not have yet: messages, wraps and
// receipts. It goes out at the next connection.
func (a *Account) Unsecured() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return 0
	}
	return a.engine.Unsecured()
}

// Device is one device of the account.
type Device struct {
	ID    identity.DeviceID
	Added time.Time
	// How is "password", "approved" or "recovery"; Class "native", "web" or
	// "service".
	How, Class string
	This       bool
	// Epoch ends when the device's keys have to be renewed; zero without any.
	// A device without a valid epoch gets no keys for new messages.
	Epoch time.Time
	// LastSeen is the newest of its sessions, to the hour; zero without one.
	LastSeen time.Time
	Sessions []Session
}

// Session is one login of a device.
type Session struct {
	ID                [16]byte
	Created, LastSeen time.Time
	This              bool
}

// Devices lists the account's devices, with their sessions. It waits until the
// account has read what other devices changed (Online). Where the server cannot
// be asked, it returns the devices of which this one knows, and the error of
// Online.
func (a *Account) Devices(ctx context.Context) ([]Device, error) {
	// A login finds the section as it was left: a device that joined since is
	// in the list that comes with the first sync.
	online := a.Online(ctx)
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil, ErrClosed
	}
	l, certs, err := a.engine.OwnKeys()
	a.mu.Unlock()
	if err != nil {
		return nil, engineError(err)
	}
	var all []Device
	for _, d := range l.List.Devices {
		dev := Device{ID: d.ID, Added: d.AddedAt.Time(), This: d.ID == a.device, How: d.How.String(), Class: d.Class.String()}
		for _, c := range certs {
			if c.Certificate.Device == d.ID {
				dev.Epoch = c.Certificate.NotAfter.Time()
			}
		}
		all = append(all, dev)
	}
	if online != nil {
		return all, online
	}
	resp, err := a.remote.account.ListSessions(ctx, &resealv1.ListSessionsRequest{})
	if err != nil {
		return all, a.in.callError(err)
	}
	for _, s := range resp.Sessions {
		for i := range all {
			if string(all[i].ID[:]) != string(s.DeviceId) || len(s.Id) != 16 {
				continue
			}
			seen := identity.Time(s.LastSeenMs).Time()
			all[i].Sessions = append(all[i].Sessions, Session{[16]byte(s.Id), identity.Time(s.CreatedMs).Time(), seen, s.This})
			if seen.After(all[i].LastSeen) {
				all[i].LastSeen = seen
			}
		}
	}
	return all, nil
}

// RemoveDevice removes a device from the account: its sessions end, its share
// is destroyed, so its section can never be opened again, and nobody wraps for
// it any more. It asks for the password, which alone gives the account key.
// Errors: ErrLogin, ErrUnknownDevice, ErrLastDevice, ErrOffline.
func (a *Account) RemoveDevice(ctx context.Context, id identity.DeviceID, pass []byte) error {
	c, err := a.authenticate(ctx, pass)
	if err != nil {
		return err
	}
	defer c.remote.link.Close()
	l, err := a.in.dropDevice(ctx, c, id)
	if err != nil {
		return a.in.callError(err)
	}
	// The session of this password check is not needed any more.
	_, _ = c.remote.account.EndSession(ctx, &resealv1.EndSessionRequest{})
	if err := a.step(client.OwnList{List: l.Bytes()}); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}
