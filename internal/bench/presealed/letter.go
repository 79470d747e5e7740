package presealed

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"slices"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
	"github.com/reseal/reseal/wrap"
)

// life is how long a message may wait.
const life = time.Hour

// Letter is a sealed content from a device to an account, with a wrap for each
// of the account's devices and a copy for each other one of the sender's. Its
// methods may be used by many goroutines at once.
type Letter struct {
	from     *Device
	to       *Account
	header   message.Header
	life     time.Duration // 0: as life
	secret   wrap.Secret
	inline   []byte
	segments []byte
	wraps    [][]byte
	copies   [][]byte
	lists    []*resealv1.NamedList
}

// Seal seals size random bytes as a text to an account. The devices that the
// account has now get a wrap each, but those of skip.
func (d *Device) Seal(to *Account, size int, skip ...*Device) (*Letter, error) {
	l := &Letter{from: d, to: to}
	created := now()
	l.header = message.Header{
		Kind: message.KindContent, Sender: d.Account.ID, Recipient: to.ID, SenderDevice: d.ID,
		Created: created, Expires: created.Add(life), Policy: message.Keep, Suite: message.Cobblestone256,
	}
	if err := l.content(size); err != nil {
		return nil, err
	}
	l.next()
	var err error
	if l.wraps, err = l.wrapAll(to, skip); err != nil {
		return nil, err
	}
	l.lists = append(l.lists, to.named())
	if to != d.Account {
		l.lists = append(l.lists, d.named())
		l.copies, err = l.wrapAll(d.Account, skip)
	}
	return l, err
}

// wrapAll wraps for the devices of an account.
func (l *Letter) wrapAll(to *Account, skip []*Device) (all [][]byte, err error) {
	for _, device := range to.Devices {
		if device == l.from || slices.Contains(skip, device) {
			continue
		}
		w, err := l.Wrap(l.header, device)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// named is the list that a sender wrapped for, as requests name it.
func (a *Account) named() *resealv1.NamedList {
	hash := a.List.Hash()
	return &resealv1.NamedList{AccountId: a.ID[:], Version: a.List.List.Version, Hash: hash[:]}
}

// content seals the bytes and fills in what the header says of them.
func (l *Letter) content(size int) error {
	var err error
	if l.secret.CEK, err = seal.NewCEK(rand.Reader); err != nil {
		return err
	}
	if l.secret.R, err = message.NewR(rand.Reader); err != nil {
		return err
	}
	id, err := seal.NewContentID(rand.Reader)
	if err != nil {
		return err
	}
	var sealed bytes.Buffer
	w, err := seal.NewWriter(&sealed, rand.Reader, l.secret.CEK,
		seal.Context{Kind: uint8(l.header.Kind), Content: id, Sender: l.header.Sender, Created: l.header.Created},
		seal.Meta{Type: "text/plain; charset=utf-8", Size: uint64(size)})
	if err != nil {
		return err
	}
	if _, err := w.Write(random(size)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	r, err := w.Result()
	if err != nil {
		return err
	}
	l.inline, l.segments, l.secret.Digest = sealed.Bytes(), r.Segments, message.Digest(r.Digest)
	l.header.Length, l.header.Digest = r.Length, l.secret.Digest
	return nil
}

// next gives the header a new id and the present time.
func (l *Letter) next() message.ClientID {
	var c message.ClientID
	_, _ = rand.Read(c[:]) // never fails
	l.header.Created = now()
	l.header.Expires = l.header.Created.Add(cmp.Or(l.life, life))
	l.header.ID = message.NewID(l.header.Created.Day(), l.header.Sender, l.header.Recipient, c, l.header.Digest)
	return c
}

// Expires has the messages that Next makes expire so long after they are sent; an
// hour otherwise.
func (l *Letter) Expires(after time.Duration) { l.life = after }

// Next is the letter as a new message: another id and time, and the same sealed
// bytes. The request is the caller's, its parts are not to be changed.
func (l *Letter) Next() (message.Header, *resealv1.SendRequest) {
	again := Letter{header: l.header, life: l.life}
	c := again.next()
	return again.header, &resealv1.SendRequest{
		Header: again.header.Encode(), ClientId: c[:], Inline: l.inline, Segments: l.segments, Wraps: l.wraps, Copies: l.copies, Lists: l.lists,
	}
}

// Wrap wraps the letter's key for a device, under a header that Next returned.
func (l *Letter) Wrap(h message.Header, to *Device) ([]byte, error) {
	w, err := wrap.Seal(l.context(to), to.epoch.Public(), to.auth.Public(), l.from.auth, h, l.secret)
	if err != nil {
		return nil, err
	}
	return w.Encode(), nil
}

// context is that of a wrap for a device.
func (l *Letter) context(to *Device) message.WrapContext {
	from := l.from
	return message.WrapContext{
		From: message.WrapFrom{
			Account: from.Account.ID, Key: from.keys.Account.Public(), Device: from.ID, DeviceKey: from.key.Public(), Auth: from.auth.Public(),
			Epoch: from.cert.Certificate.Epoch, Cert: from.cert.Hash(), ListVersion: from.List.List.Version, ListHash: from.List.Hash(), At: now(),
		},
		To: message.WrapTo{
			Account: to.Account.ID, Key: to.keys.Account.Public(), Device: to.ID, DeviceKey: to.key.Public(),
			Epoch: to.cert.Certificate.Epoch, Cert: to.cert.Hash(), ListVersion: to.List.List.Version, ListHash: to.List.Hash(),
		},
	}
}
