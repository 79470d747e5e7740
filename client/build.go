package client

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
	"github.com/reseal/reseal/wrap"
)

// build makes the message: id, header, R, wraps, and the exact request, which
// is stored before it is sent for the first time.
func (s *step) build(queued string, q *state.Queued, c *state.Content, epoch *ownEpoch) {
	to := identity.AccountID(q.To)
	digest := message.Digest(c.Digest)
	h := message.Header{
		ID:   message.NewID(s.now.Day(), s.e.id.account, to, message.ClientID(q.ClientId), digest),
		Kind: message.KindContent, Sender: s.e.id.account, Recipient: to, SenderDevice: s.e.id.device,
		Created: s.now, Expires: s.now.Add(time.Duration(q.LifeMs) * time.Millisecond),
		Policy: message.Policy(q.Policy), Suite: message.Cobblestone256, Length: c.Length, Digest: digest,
	}
	if c.File != "" {
		h.Blob = message.BlobID(c.Blob)
	}
	r, err := message.NewR(s.e.rand)
	if err != nil {
		s.tx.err = fmt.Errorf("client: no randomness: %w", err)
		return
	}
	out := &state.Out{
		Header: h.Encode(), ClientId: q.ClientId, Content: q.Content, R: r[:], Cek: c.Cek, State: outQueued,
		Handle: s.handleOf(to), Tries: q.Tries,
	}
	req := s.sendRequest(out, h, c, wrap.Secret{CEK: seal.CEK(c.Cek), R: r, Digest: digest}, epoch)
	b, err := marshal(req)
	if err != nil {
		s.tx.err = err
		return
	}
	out.Request = b
	s.tx.delete(queued)
	s.saveOut(h.ID, out)
	s.tx.delete(usesName(q.Content, hex.EncodeToString(q.ClientId)))
	s.tx.put(usesName(q.Content, h.ID.String()), present)
	s.tx.put(prefixActive+h.ID.String(), present)
	s.tx.put(expireName(h.Expires, "out/"+h.ID.String()), present)
	s.do(Call{"send/" + h.ID.String(), req})
}

// sendRequest is the request for a message, with wraps for the devices of now,
// which it notes.
func (s *step) sendRequest(out *state.Out, h message.Header, c *state.Content, secret wrap.Secret, epoch *ownEpoch) *resealv1.SendRequest {
	req := &resealv1.SendRequest{Header: out.Header, ClientId: out.ClientId, Inline: c.Inline, Segments: c.Segments}
	if c.File != "" {
		capability := secret.CEK.Capability()
		req.BlobCapability = capability[:]
	}
	req.Wraps = s.wrapAll(out, h, secret, epoch, h.Recipient)
	if h.Recipient != s.e.id.account {
		req.Copies = s.wrapAll(out, h, secret, epoch, s.e.id.account)
	}
	req.Lists = s.namedLists(h)
	return req
}

func (s *step) handleOf(id identity.AccountID) string {
	if id == s.e.id.account {
		return s.me().Handle
	}
	if c := s.contact(id); c != nil {
		return c.Handle
	}
	return ""
}

func (s *step) namedLists(h message.Header) []*resealv1.NamedList {
	var named []*resealv1.NamedList
	for _, id := range []identity.AccountID{h.Recipient, h.Sender} {
		if p := s.peer(id); p.known {
			hash := p.list.Hash()
			named = append(named, &resealv1.NamedList{AccountId: id[:], Version: p.list.List.Version, Hash: hash[:]})
		}
		if h.Recipient == h.Sender {
			break
		}
	}
	return named
}

// wrapAll wraps for every device of an account that has a valid certificate
// and no wrap for its newest epoch yet. A device whose certificate or key fails
// is skipped and counted; it never stops a send.
func (s *step) wrapAll(out *state.Out, h message.Header, secret wrap.Secret, epoch *ownEpoch, to identity.AccountID) [][]byte {
	p := s.peer(to)
	if !p.known {
		return nil
	}
	var wraps [][]byte
	for _, d := range p.list.List.Devices {
		if to == s.e.id.account && d.ID == s.e.id.device {
			continue
		}
		c := p.certs[d.ID]
		if c == nil || !c.Certificate.ValidAt(s.now) || isWrapped(out, to, d.ID, c.Certificate.Epoch) {
			continue
		}
		b, err := s.wrapOnce(h, secret, epoch, p, d, c, out.StoredAt != 0)
		if err != nil {
			s.count.BadKeys++
			continue
		}
		wraps = append(wraps, b)
		out.Wrapped = append(out.Wrapped, &state.Wrapped{Account: to[:], Device: d.ID[:], Epoch: c.Certificate.Epoch})
	}
	return wraps
}

func isWrapped(out *state.Out, a identity.AccountID, d identity.DeviceID, epoch uint64) bool {
	for _, w := range out.Wrapped {
		if string(w.Account) == string(a[:]) && string(w.Device) == string(d[:]) && w.Epoch == epoch {
			return true
		}
	}
	return false
}

// wrapOnce is wrapOne for a wrap that is added to a message, where later is set:
// whatever it is added for, a second look or a retry request, the same device and
// epoch get the same bytes. They are stored before they are sent: the server has
// one place for them, and no way to tell which of two would be right.
func (s *step) wrapOnce(h message.Header, secret wrap.Secret, epoch *ownEpoch, p peer, d identity.Device, c *identity.SignedCertificate, later bool) ([]byte, error) {
	name := answerName(h.ID, d.ID, c.Certificate.Epoch)
	if b := s.given(name); later && b != nil {
		return b, nil
	}
	b, err := s.wrapOne(h, secret, epoch, p, d, c)
	if err == nil && later {
		s.tx.save(name, &state.Answer{Wrap: b})
	}
	return b, err
}

// given is the wrap that was added under a name, nil for none. Once the own
// account has another key, one in the name of the old key opens for nobody who
// knows of that: it counts no more, and its successor has a place of its own.
func (s *step) given(name string) []byte {
	a := load[state.Answer](&s.tx, name)
	if a == nil {
		return nil
	}
	own, err1 := s.e.list(s.me().List)
	w, err2 := message.ParseWrap(a.Wrap)
	if err1 != nil || err2 != nil || w.Context.From.Key != own.List.Key {
		return nil
	}
	return a.Wrap
}

func answerName(id message.ID, d identity.DeviceID, epoch uint64) string {
	return fmt.Sprintf("%s%v/%v/%d", prefixAnswer, id, d, epoch)
}

// wrapOne seals the secret to one device, in the name of this device.
func (s *step) wrapOne(h message.Header, secret wrap.Secret, epoch *ownEpoch, p peer, d identity.Device, c *identity.SignedCertificate) ([]byte, error) {
	own, err := s.e.list(s.me().List)
	if err != nil {
		return nil, err
	}
	auth, err := epoch.authKey()
	if err != nil {
		return nil, err
	}
	ctx := message.WrapContext{
		From: message.WrapFrom{
			Account: s.e.id.account, Key: own.List.Key, Device: s.e.id.device, DeviceKey: s.e.id.key.Public(),
			Auth: auth.Public(), Epoch: epoch.Number, Cert: epoch.certificate.Hash(),
			ListVersion: own.List.Version, ListHash: own.Hash(), At: s.now,
		},
		To: message.WrapTo{
			Account: p.list.List.Account, Key: p.list.List.Key, Device: d.ID, DeviceKey: d.Key,
			Epoch: c.Certificate.Epoch, Cert: c.Hash(), ListVersion: p.list.List.Version, ListHash: p.list.Hash(),
		},
	}
	w, err := wrap.Seal(ctx, c.Certificate.Key, c.Certificate.Auth, auth, h, secret)
	if err != nil {
		return nil, err
	}
	return w.Encode(), nil
}

// newName is a fresh random name for a record.
func (s *step) newName() string {
	var b [8]byte
	if _, err := io.ReadFull(s.e.rand, b[:]); err != nil {
		s.tx.err = fmt.Errorf("client: no randomness: %w", err)
	}
	return hex.EncodeToString(b[:])
}

// resend makes the stored request of a message again.
func (s *step) resend(id message.ID) {
	out := s.out(id)
	if out == nil || out.State != outQueued {
		s.tx.delete(prefixActive + id.String())
		return
	}
	req := new(resealv1.SendRequest)
	if err := proto.Unmarshal(out.Request, req); err != nil {
		s.tx.err = fmt.Errorf("%w: request", ErrState)
		return
	}
	s.do(Call{"send/" + id.String(), req})
}
