package testworld

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
	"github.com/reseal/reseal/seal"
	"github.com/reseal/reseal/wrap"
)

// Message is a message that a device makes, with its secrets.
type Message struct {
	From   *Device
	To     *Account
	Header message.Header
	Client message.ClientID
	Secret wrap.Secret
	Inline []byte
}

// Compose makes a message; change may alter its header before the id is made.
func (d *Device) Compose(to *Account, change func(*message.Header)) *Message {
	inline := Random(300)
	m := &Message{From: d, To: to, Inline: inline, Client: must(message.NewClientID(rand.Reader))}
	m.Secret = wrap.Secret{CEK: must(seal.NewCEK(rand.Reader)), R: must(message.NewR(rand.Reader)), Digest: message.Digest(Random(32))}
	now := d.W.Time()
	m.Header = message.Header{
		Kind: message.KindContent, Sender: d.Account.ID, Recipient: to.ID, SenderDevice: d.ID, Created: now, Expires: now.Add(24 * time.Hour),
		Policy: message.Keep, Suite: message.Cobblestone256, Length: uint64(len(inline)), Digest: m.Secret.Digest,
	}
	if change != nil {
		change(&m.Header)
	}
	m.Header.ID = message.NewID(m.Header.Created.Day(), m.Header.Sender, m.Header.Recipient, m.Client, m.Header.Digest)
	return m
}

// Once is a change for Compose: the message is viewed once.
func Once(h *message.Header) { h.Policy = message.Once }

// Wrap wraps the message's key for a device's newest epoch, by any device that
// has it.
func (m *Message) Wrap(by, to *Device) []byte { return m.WrapEpoch(by, to, to.Newest()) }

// WrapEpoch wraps for a given epoch.
func (m *Message) WrapEpoch(by, to *Device, e *Epoch) []byte {
	mine := by.Newest()
	w := must(wrap.Seal(m.Context(by, to, e), e.Key.Public(), e.Auth.Public(), mine.Auth, m.Header, m.Secret))
	return w.Encode()
}

// Context is the context of such a wrap.
func (m *Message) Context(by, to *Device, e *Epoch) message.WrapContext {
	mine := by.Newest()
	return message.WrapContext{
		From: message.WrapFrom{
			Account: by.Account.ID, Key: by.Keys.Account.Public(), Device: by.ID, DeviceKey: by.Key.Public(), Auth: mine.Auth.Public(),
			Epoch: mine.Cert.Certificate.Epoch, Cert: mine.Cert.Hash(), ListVersion: by.List.List.Version, ListHash: by.List.Hash(), At: m.From.W.Time(),
		},
		To: message.WrapTo{
			Account: to.Account.ID, Key: to.Keys.Account.Public(), Device: to.ID, DeviceKey: to.Key.Public(), Epoch: e.Cert.Certificate.Epoch,
			Cert: e.Cert.Hash(), ListVersion: to.List.List.Version, ListHash: to.List.Hash(),
		},
	}
}

// Request is the send of the message with wraps for the recipient's devices and
// copies for the sender's others that are in skip's complement.
func (m *Message) Request(skip ...*Device) *resealv1.SendRequest {
	req := &resealv1.SendRequest{Header: m.Header.Encode(), ClientId: m.Client[:], Inline: m.Inline}
	if !m.Header.Blob.IsZero() {
		req.Inline = nil
	}
	for _, d := range m.To.Devices {
		if d != m.From && !slices.Contains(skip, d) {
			req.Wraps = append(req.Wraps, m.Wrap(m.From, d))
		}
	}
	if m.To.ID != m.From.Account.ID {
		for _, d := range m.From.Devices {
			if d != m.From && !slices.Contains(skip, d) {
				req.Copies = append(req.Copies, m.Wrap(m.From, d))
			}
		}
	}
	return req
}

// Send sends a message with wraps for every device that the accounts know of.
func (d *Device) Send(to *Account, change func(*message.Header)) (*Message, *resealv1.SendResponse) {
	d.W.T.Helper()
	m := d.Compose(to, change)
	return m, Must[*resealv1.SendResponse](d.W.T)(d.C.Mailbox.Send(context.Background(), m.Request()))
}

// Receipt makes a receipt of the message by a device, with a good MAC.
func (m *Message) Receipt(by *Device, what message.What) []byte {
	return message.Receipt{
		Message: m.Header.ID, Account: by.Account.ID, Device: by.ID, What: what, Time: by.W.Time(),
		Sender:    message.ListHead{Version: m.From.List.List.Version, Hash: m.From.List.Hash()},
		Recipient: message.ListHead{Version: m.To.List.List.Version, Hash: m.To.List.Hash()},
	}.Seal(m.Secret.R)
}

// ReceiptRequest posts such a receipt.
func (m *Message) ReceiptRequest(by *Device, what message.What) *resealv1.PostReceiptRequest {
	return &resealv1.PostReceiptRequest{
		MessageId: m.Header.ID[:], Sender: m.Header.Sender[:], Recipient: m.Header.Recipient[:], Receipt: m.Receipt(by, what),
	}
}

// AddRequest adds wraps by a device for others.
func (m *Message) AddRequest(by *Device, to ...*Device) *resealv1.AddWrapsRequest {
	req := &resealv1.AddWrapsRequest{MessageId: m.Header.ID[:], Sender: m.Header.Sender[:], Recipient: m.Header.Recipient[:]}
	for _, d := range to {
		req.Wraps = append(req.Wraps, m.Wrap(by, d))
	}
	return req
}

// Ask is a signed retry request of a device for messages, to an account.
func (d *Device) Ask(to identity.AccountID, ids ...message.ID) *retry.SignedRequest {
	slices.SortFunc(ids, func(a, b message.ID) int { return slices.Compare(a[:], b[:]) })
	return must(retry.SignRequest(retry.Request{
		Account: d.Account.ID, Device: d.ID, Cert: d.Newest().Cert.Hash(), ListVersion: d.List.List.Version, ListHash: d.List.Hash(),
		To: to, Nonce: must(retry.NewNonce(rand.Reader)), Messages: ids,
	}, d.Key))
}

// Day is all that a device reads of a day, over all pages.
type Day struct {
	Messages []*resealv1.Pending
	Ends     [][]byte
	Receipts [][]byte
	Pages    int
}

// ReadDay reads a whole day.
func (d *Device) ReadDay(day uint32) Day {
	d.W.T.Helper()
	var all Day
	var from []byte
	for {
		resp := Must[*resealv1.ReadDayResponse](d.W.T)(d.C.Mailbox.ReadDay(context.Background(), &resealv1.ReadDayRequest{Day: day, From: from}))
		all.Pages++
		all.Messages = append(all.Messages, resp.Messages...)
		all.Ends, all.Receipts = append(all.Ends, resp.Ends...), append(all.Receipts, resp.Receipts...)
		if from = resp.Next; len(from) == 0 {
			return all
		}
	}
}

// Today reads the present day.
func (d *Device) Today() Day {
	d.W.T.Helper()
	return d.ReadDay(d.W.Time().Day())
}

// Find is a message of a day, nil for none.
func (y Day) Find(id message.ID) *resealv1.Pending {
	for _, p := range y.Messages {
		if h, err := message.ParseHeader(p.Header); err == nil && h.ID == id {
			return p
		}
	}
	return nil
}

// Opens tells whether any of a pending message's wraps opens with an epoch that
// the device has, to the message's own secret.
func (m *Message) Opens(d *Device, wraps [][]byte) bool {
	for _, b := range wraps {
		w, err := message.ParseWrap(b)
		if err != nil || w.Context.To.Device != d.ID {
			continue
		}
		for _, e := range d.Epochs {
			if w.Context.To.Cert != e.Cert.Hash() {
				continue
			}
			s, err := wrap.Open(*w, e.Key, e.Auth, w.Context.From.Auth, m.Header)
			if err == nil && s == m.Secret {
				return true
			}
		}
	}
	return false
}
