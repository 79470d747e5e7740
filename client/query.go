package client

import (
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

// MessageState is where a message stands on this device.
type MessageState string

// The states of a message. Queued and Refused are of messages sent only.
const (
	Waiting  MessageState = "waiting"
	IsReady  MessageState = "ready"
	Update   MessageState = "update"
	Held     MessageState = "held"
	IsViewed MessageState = "viewed"
	Expired  MessageState = "expired"
	IsUnsent MessageState = "unsent"
	Queued   MessageState = "queued"
	Sent     MessageState = "sent"
	Refused  MessageState = "refused"
)

// Message is a message as a device knows it.
type Message struct {
	ID     message.ID
	Header message.Header
	State  MessageState
	// Peer is the sender's account, or the recipient's of a message sent.
	Peer     identity.AccountID
	Handle   string
	Stranger bool
	// Opened tells that a kept message was opened on this device before.
	Opened bool
	// What the content says of itself, once it is known.
	Name, Type, Caption string
	Size                uint64
	// Receipts of other devices.
	Receipts []message.Receipt
	// Copy marks what another device of the account sent.
	Copy bool
	// Client is the client id of a message sent from this device.
	Client message.ClientID
	// Why a message was refused.
	Why string
}

func (e *Engine) read() *step {
	return &step{e: e, tx: tx{under: e.state, over: map[string]*[]byte{}}}
}

// Inbox lists the messages to this account, oldest first. ended includes what
// is over. Those of a newer version come last, with nothing but a state and a
// [NewerID].
func (e *Engine) Inbox(now identity.Time, ended bool) ([]Message, error) {
	s := e.read()
	s.now = now
	var all []Message
	for _, name := range s.tx.names(prefixIn) {
		in := load[state.In](&s.tx, name)
		if in == nil || in.Copy {
			continue
		}
		m, err := s.inMessage(in)
		if err != nil {
			return nil, err
		}
		if _, over := inState(in.State); ended || (!over && m.State != Expired && m.State != IsViewed && m.State != IsUnsent) {
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, byCreation)
	return append(all, s.newerMessages()...), s.tx.err
}

// SentMessages lists the messages of this account that this device knows of.
func (e *Engine) SentMessages(now identity.Time) ([]Message, error) {
	s := e.read()
	s.now = now
	var all []Message
	for _, name := range s.tx.names(prefixOut) {
		out := load[state.Out](&s.tx, name)
		if out == nil {
			continue
		}
		m, err := s.outMessage(out)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, byCreation)
	return all, s.tx.err
}

func byCreation(a, b Message) int {
	switch {
	case a.Header.Created < b.Header.Created:
		return -1
	case a.Header.Created > b.Header.Created:
		return 1
	}
	return 0
}

// Get finds one message, in the inbox or among those sent.
func (e *Engine) Get(now identity.Time, id message.ID) (m Message, sent bool, err error) {
	s := e.read()
	s.now = now
	if in := s.in(id); in != nil && !in.Copy {
		m, err = s.inMessage(in)
		return m, false, err
	}
	if out := s.out(id); out != nil {
		m, err = s.outMessage(out)
		return m, true, err
	}
	return Message{}, false, errors.Join(ErrUnknownMessage, s.tx.err)
}

func (s *step) inMessage(in *state.In) (Message, error) {
	h, err := message.ParseHeader(in.Header)
	if err != nil {
		return Message{}, ErrState
	}
	m := Message{
		ID: h.ID, Header: h, Peer: h.Sender, Opened: in.Opened,
		Name: in.Name, Type: in.Type, Caption: in.Caption, Size: in.Size, Receipts: receipts(h.ID, in.Receipts),
	}
	c := s.contact(h.Sender)
	m.Stranger = h.Sender != s.e.id.account && (c == nil || !c.Accepted)
	if h.Sender == s.e.id.account {
		m.Handle = s.me().Handle
	}
	if c != nil {
		m.Handle = c.Handle
	}
	switch {
	case in.State == inReady || in.State == inViewing:
		m.State = IsReady
	case in.State == inUpdate:
		m.State = Update
	case in.State == inViewed:
		m.State = IsViewed
	case in.State == inUnsent:
		m.State = IsUnsent
	case in.State == inWaiting && in.ToldEnd != 0:
		m.State = map[message.State]MessageState{message.StateViewed: IsViewed, message.StateUnsent: IsUnsent, message.StateExpired: Expired}[message.State(in.ToldEnd)]
	default:
		m.State = Waiting
	}
	if in.State == inExpired || ((m.State == IsReady || m.State == Waiting || m.State == Update) && h.Expired(s.now)) {
		m.State = Expired
	}
	if c != nil && (c.Blocked || c.Alarm != "") && (m.State == IsReady || m.State == Waiting) {
		m.State = Held
	}
	return m, nil
}

func (s *step) outMessage(out *state.Out) (Message, error) {
	h, err := message.ParseHeader(out.Header)
	if err != nil {
		return Message{}, ErrState
	}
	m := Message{
		ID: h.ID, Header: h, Peer: h.Recipient, Handle: out.Handle, Copy: out.Copy, Why: out.Refused,
		Receipts: receipts(h.ID, out.Receipts),
		State: map[uint32]MessageState{
			outQueued: Queued, outStored: Sent, outViewed: IsViewed, outExpired: Expired, outUnsent: IsUnsent, outRefused: Refused,
		}[out.State],
	}
	if len(out.ClientId) == len(m.Client) {
		m.Client = message.ClientID(out.ClientId)
	}
	if (m.State == Sent || m.State == Queued) && h.Expired(s.now) {
		m.State = Expired
	}
	if c := s.content(out.Content); c != nil {
		m.Name, m.Type, m.Caption, m.Size = c.Name, c.Type, c.Caption, c.Size
	}
	return m, nil
}

func receipts(id message.ID, seen []*state.ReceiptSeen) []message.Receipt {
	var all []message.Receipt
	for _, r := range seen {
		rc := message.Receipt{Message: id, What: message.What(r.What), Time: identity.Time(r.At)}
		copy(rc.Account[:], r.Account)
		copy(rc.Device[:], r.Device)
		all = append(all, rc)
	}
	return all
}

// Opening is what it takes to fetch and decrypt a message.
type Opening struct {
	Header   message.Header
	CEK      seal.CEK
	Inline   []byte
	Segments []byte
	// File is the verified ciphertext file, empty if it was not fetched yet.
	File string
}

// Opening returns the keys of a message that can be opened now. The caller
// begins with it, and reports Downloaded, View and Viewed in that order.
func (e *Engine) Opening(now identity.Time, id message.ID) (Opening, error) {
	s := e.read()
	s.now = now
	in := s.in(id)
	if in == nil && s.isNewer(id) {
		return Opening{}, ErrUpdate
	}
	if in == nil || in.Copy {
		return Opening{}, errors.Join(ErrUnknownMessage, s.tx.err)
	}
	h, err := message.ParseHeader(in.Header)
	if err != nil {
		return Opening{}, ErrState
	}
	if err := s.openable(in, h); err != nil {
		return Opening{}, err
	}
	return Opening{h, seal.CEK(in.Cek), in.Inline, in.Segments, in.File}, s.tx.err
}

// Files are the names of all ciphertext files that records refer to: any
// other file is left over from a crash and may go.
func (e *Engine) Files() (map[string]bool, error) {
	s, files := e.read(), map[string]bool{}
	for _, name := range s.tx.names(prefixContent) {
		if c := load[state.Content](&s.tx, name); c != nil && c.File != "" {
			files[c.File] = true
		}
	}
	for _, name := range s.tx.names(prefixIn) {
		if in := load[state.In](&s.tx, name); in != nil && in.File != "" {
			files[in.File] = true
		}
	}
	return files, s.tx.err
}

// Contact is another account as this one knows it.
type Contact struct {
	Account identity.AccountID
	Handle  string
	Key     identity.AccountPublic
	Devices int
	// Verified tells that the present key was compared by the user.
	Verified, Blocked, Accepted bool
	// WasVerified: another key than the present one was compared.
	WasVerified bool
	Renamed     bool
	// Refused: what this stranger sent was refused, and nothing came since.
	Refused bool
	// Closed: the server says that the account was closed.
	Closed bool
	Alarm  string
	// Offered are the keys that Trust can end the alarm with.
	Offered []identity.AccountPublic
}

// Contacts lists all contacts by account id.
func (e *Engine) Contacts() ([]Contact, error) {
	s := e.read()
	var all []Contact
	for _, name := range s.tx.names(prefixContact) {
		if c := load[state.Contact](&s.tx, name); c != nil {
			all = append(all, s.contactOf(c))
		}
	}
	return all, s.tx.err
}

// ContactByHandle finds the account that a handle names here.
func (e *Engine) ContactByHandle(handle string) (Contact, bool) {
	b, ok := e.state.Get(prefixHandle + handle)
	if !ok || len(b) != len(identity.AccountID{}) {
		return Contact{}, false
	}
	s := e.read()
	c := s.contact(identity.AccountID(b))
	if c == nil {
		return Contact{}, false
	}
	return s.contactOf(c), true
}

func (s *step) contactOf(c *state.Contact) Contact {
	k := Contact{
		Account: identity.AccountID(c.Account), Handle: c.Handle, Blocked: c.Blocked, Accepted: c.Accepted,
		Renamed: c.Renamed, Closed: c.Closed, Alarm: c.Alarm, Verified: len(c.VerifiedKey) > 0 && string(c.VerifiedKey) == string(c.Key),
	}
	k.WasVerified = len(c.VerifiedKey) > 0 && !k.Verified
	copy(k.Key[:], c.Key)
	if l, err := s.e.list(c.List); err == nil {
		k.Devices = len(l.List.Devices)
	}
	k.Refused = c.Refused > 0 && !c.Accepted && !s.waitsOf(k.Account)
	k.Offered = s.offered(c)
	return k
}

// OwnKeys are the own account's newest list and certificates.
func (e *Engine) OwnKeys() (*identity.SignedList, []*identity.SignedCertificate, error) {
	l, err := e.list(e.self.List)
	if err != nil {
		return nil, nil, ErrState
	}
	var certs []*identity.SignedCertificate
	for _, b := range e.self.Certificates {
		if c, err := e.memory.certificate(b); err == nil {
			certs = append(certs, c)
		}
	}
	return l, certs, nil
}

// DeviceKey signs for this device: session binding, retry requests.
func (e *Engine) DeviceKey() identity.DeviceKey { return e.id.key }

// Row is the id of the section's share at the server.
func (e *Engine) Row() []byte { return e.self.Row }

// Unsecured counts the messages of ours that the server does not have yet, and
// everything else that still has to go out.
func (e *Engine) Unsecured() int {
	s := e.read()
	return len(s.tx.names(prefixQueue)) + len(s.tx.names(prefixActive)) + len(s.tx.names(prefixPost)) + len(s.tx.names(prefixAdd))
}

// Self reads who a section belongs to, before an engine is opened.
func Self(st State) (account identity.AccountID, handle string, device identity.DeviceID, err error) {
	b, ok := st.Get(nameSelf)
	self := new(state.Self)
	if !ok || proto.Unmarshal(b, self) != nil || len(self.Account) != 16 || len(self.Device) != 16 {
		return account, "", device, ErrState
	}
	return identity.AccountID(self.Account), self.Handle, identity.DeviceID(self.Device), nil
}

// HandleOf is the handle of an account as far as this device knows it.
func (e *Engine) HandleOf(id identity.AccountID) string { return e.read().handleOf(id) }
