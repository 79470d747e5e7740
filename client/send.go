package client

import (
	"encoding/hex"
	"errors"
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

// The states of a message of ours (state.Out).
const (
	outQueued  = 1 // the exact request is stored; its outcome is not known
	outStored  = 2
	outViewed  = 3
	outExpired = 4
	outUnsent  = 5
	outRefused = 6
)

// ErrUnknownContent: Send names a content that is not there.
var ErrUnknownContent = errors.New("client: unknown content")

// addContent stores a sealed content and, where it is a file, uploads it.
func (s *step) addContent(ev AddContent) error {
	name := contentName(ev.ID)
	if _, ok := s.tx.get(name); ok {
		return nil
	}
	c := &state.Content{
		Id: ev.ID[:], Cek: ev.CEK[:], Digest: ev.Digest[:], Length: ev.Length, Blob: ev.Blob[:],
		Inline: ev.Inline, Segments: ev.Segments, File: ev.File, Uploaded: ev.Inline != nil,
		Name: ev.Name, Type: ev.Type, Size: ev.Size, Caption: ev.Caption, Created: uint64(ev.Created),
	}
	s.tx.save(name, c)
	// A content that no message ever refers to is forgotten in a day, as the
	// server collects its blob.
	s.tx.put(expireName(ev.Created.Add(24*time.Hour), "content/"+hex.EncodeToString(ev.ID[:])), present)
	s.upload(c)
	return nil
}

func (s *step) upload(c *state.Content) {
	if c.Uploaded {
		return
	}
	s.do(Upload{
		Content: seal.ContentID(c.Id), Blob: message.BlobID(c.Blob), File: c.File, Length: c.Length,
		Capability: seal.CEK(c.Cek).Capability(),
	})
}

func (s *step) content(id []byte) *state.Content {
	if len(id) != len(seal.ContentID{}) {
		return nil
	}
	return load[state.Content](&s.tx, contentName(seal.ContentID(id)))
}

// dropContent forgets a content that was not sent to anybody.
func (s *step) dropContent(ev DropContent) error {
	if c := s.content(ev.ID[:]); c != nil && len(s.tx.names(prefixUses+hex.EncodeToString(ev.ID[:])+"/")) == 0 {
		s.forgetContent(c)
	}
	return nil
}

func (s *step) forgetContent(c *state.Content) {
	s.tx.delete(contentName(seal.ContentID(c.Id)))
	if c.File != "" {
		s.do(Forget{c.File})
	}
}

// uploaded lets the messages that waited for a blob go.
func (s *step) uploaded(ev Uploaded) error {
	c := s.content(ev.ID[:])
	if c == nil {
		return nil
	}
	if ev.Refusal == nil {
		c.Uploaded = true
		s.tx.save(contentName(ev.ID), c)
		s.advance()
		return nil
	}
	for _, name := range s.tx.names(prefixQueue) {
		if q := load[state.Queued](&s.tx, name); q != nil && string(q.Content) == string(ev.ID[:]) {
			s.unqueue(name, q, refusalError(ev.Refusal))
		}
	}
	return nil
}

// send queues one message for each recipient. The header and the exact request
// are made when the blob is at the server, because the creation time in the
// header must be near the server's.
func (s *step) send(ev Send) error {
	c := s.content(ev.Content[:])
	if c == nil {
		return ErrUnknownContent
	}
	if ev.Life <= 0 || ev.Life > message.MaxLife {
		ev.Life = message.MaxLife
	}
	for _, r := range ev.To {
		if err := s.mayAddress(r.Account); err != nil {
			return err
		}
	}
	for _, r := range ev.To {
		// A command that is repeated, after a crash, is the same message: its
		// keys must not be drawn a second time.
		if _, ok := s.tx.get(prefixClient + hex.EncodeToString(r.Client[:])); ok {
			continue
		}
		s.tx.put(prefixClient+hex.EncodeToString(r.Client[:]), present)
		name := prefixQueue + hex.EncodeToString(r.Client[:])
		s.tx.save(name, &state.Queued{
			Content: ev.Content[:], To: r.Account[:], ClientId: r.Client[:],
			Policy: uint32(ev.Policy), LifeMs: uint64(ev.Life.Milliseconds()), QueuedAt: uint64(s.now),
		})
		s.tx.put(usesName(ev.Content[:], hex.EncodeToString(r.Client[:])), present)
	}
	s.advance()
	return nil
}

// mayAddress tells whether anything may be sent to an account now.
func (s *step) mayAddress(id identity.AccountID) error {
	switch p := s.peer(id); {
	case !p.known:
		return ErrUnknownContact
	case p.blocked:
		return ErrBlocked
	case p.alarm:
		return ErrAlarm
	}
	return nil
}

// advance moves every queued message as far as it can go.
func (s *step) advance() {
	names := s.tx.names(prefixQueue)
	if len(names) == 0 {
		return
	}
	epoch := s.freshEpoch()
	if epoch == nil {
		return
	}
	for _, name := range names {
		q := load[state.Queued](&s.tx, name)
		if q == nil {
			continue
		}
		c := s.content(q.Content)
		if c == nil {
			s.unqueue(name, q, ErrUnknownContent)
			continue
		}
		if !c.Uploaded {
			continue
		}
		switch err := s.mayAddress(identity.AccountID(q.To)); {
		case errors.Is(err, ErrBlocked):
			s.unqueue(name, q, err)
		case err != nil: // held back until the user decides, or keys come
		default:
			s.build(name, q, c, epoch)
		}
	}
}

// unqueue gives a queued message up.
func (s *step) unqueue(name string, q *state.Queued, why error) {
	s.tx.delete(name)
	s.tx.delete(prefixClient + hex.EncodeToString(q.ClientId))
	s.show(NotSent{message.ClientID(q.ClientId), identity.AccountID(q.To), why})
	s.release(q.Content, hex.EncodeToString(q.ClientId))
}

// release drops one use of a content, and with the last one the content.
func (s *step) release(content []byte, what string) {
	s.tx.delete(usesName(content, what))
	if len(s.tx.names(prefixUses+hex.EncodeToString(content)+"/")) > 0 {
		return
	}
	if c := s.content(content); c != nil {
		s.forgetContent(c)
	}
}

// build makes the message: id, header, R, wraps, and the exact request, which
// is stored before it is sent for the first time.
func (s *step) build(queued string, q *state.Queued, c *state.Content, epoch *EpochKeys) {
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
	req := &resealv1.SendRequest{Header: out.Header, ClientId: q.ClientId, Inline: c.Inline, Segments: c.Segments}
	if c.File != "" {
		capability := seal.CEK(c.Cek).Capability()
		req.BlobCapability = capability[:]
	}
	secret := wrap.Secret{CEK: seal.CEK(c.Cek), R: r, Digest: digest}
	if to != s.e.id.account {
		req.Wraps = s.wrapAll(out, h, secret, epoch, to)
		req.Copies = s.wrapAll(out, h, secret, epoch, s.e.id.account)
	} else {
		req.Wraps = s.wrapAll(out, h, secret, epoch, to)
	}
	req.Lists = s.namedLists(h)
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
	s.count.Sends++
	s.do(Call{"send/" + h.ID.String(), req})
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
func (s *step) wrapAll(out *state.Out, h message.Header, secret wrap.Secret, epoch *EpochKeys, to identity.AccountID) [][]byte {
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
		b, err := s.wrapOne(h, secret, epoch, p, d, c)
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

// wrapOne seals the secret to one device, in the name of this device.
func (s *step) wrapOne(h message.Header, secret wrap.Secret, epoch *EpochKeys, p peer, d identity.Device, c *identity.SignedCertificate) ([]byte, error) {
	own, err := s.e.list(s.me().List)
	if err != nil {
		return nil, err
	}
	ctx := message.WrapContext{
		From: message.WrapFrom{
			Account: s.e.id.account, Key: own.List.Key, Device: s.e.id.device, DeviceKey: s.e.id.key.Public(),
			Auth: epoch.Auth.Public(), Epoch: epoch.Number, Cert: epoch.Certificate.Hash(),
			ListVersion: own.List.Version, ListHash: own.Hash(), At: s.now,
		},
		To: message.WrapTo{
			Account: p.list.List.Account, Key: p.list.List.Key, Device: d.ID, DeviceKey: d.Key,
			Epoch: c.Certificate.Epoch, Cert: c.Hash(), ListVersion: p.list.List.Version, ListHash: p.list.Hash(),
		},
	}
	w, err := wrap.Seal(ctx, c.Certificate.Key, c.Certificate.Auth, epoch.Auth, h, secret)
	if err != nil {
		return nil, err
	}
	return w.Encode(), nil
}

// sent takes the answer to a send: the message is durable at the server. What
// the second look found is wrapped now; the send itself is done.
func (s *step) sent(id message.ID, resp *resealv1.SendResponse) {
	out := s.out(id)
	if out == nil {
		return
	}
	if out.State != outQueued {
		// Taken back while it was under way: now the server knows what.
		if name := postName(id, message.Unsent); out.State == outUnsent {
			if p := load[state.Post](&s.tx, name); p != nil {
				s.deliver(name, p)
			}
		}
		return
	}
	s.tx.delete(prefixActive + id.String())
	out.State, out.Request, out.StoredAt = outStored, nil, uint64(s.now)
	before := len(out.Wrapped)
	if len(resp.Stale) > 0 {
		s.count.Stale++
		out.Stale++
		s.rewrap(id, out, resp.Stale)
	}
	s.saveOut(id, out)
	h, err := message.ParseHeader(out.Header)
	if err != nil {
		s.tx.err = fmt.Errorf("%w: out", ErrState)
		return
	}
	devices := 0
	for _, w := range out.Wrapped {
		if string(w.Account) == string(h.Recipient[:]) {
			devices++
		}
	}
	s.show(Stored{id, message.ClientID(out.ClientId), h.Recipient, devices, len(out.Wrapped) - before})
	s.tellEnd(id, resp.End)
}

// rewrap follows the lists that the server found changed, and adds the wraps
// that lack. The caller saves out.
func (s *step) rewrap(id message.ID, out *state.Out, stale []*resealv1.AccountKeys) {
	s.learn(stale, passing)
	h, err := message.ParseHeader(out.Header)
	epoch := s.freshEpoch()
	if err != nil || epoch == nil || len(out.Cek) == 0 {
		return
	}
	secret := wrap.Secret{CEK: seal.CEK(out.Cek), R: message.R(out.R), Digest: h.Digest}
	var wraps [][]byte
	for _, a := range []identity.AccountID{h.Recipient, h.Sender} {
		if s.mayAddress(a) == nil {
			wraps = append(wraps, s.wrapAll(out, h, secret, epoch, a)...)
		}
		if h.Recipient == h.Sender {
			break
		}
	}
	if len(wraps) > 0 {
		s.addWraps(h, wraps, s.newName())
	}
}

// addWraps stores a request to add wraps, and makes it until it is answered.
func (s *step) addWraps(h message.Header, wraps [][]byte, as string) {
	req := &resealv1.AddWrapsRequest{
		MessageId: h.ID[:], Recipient: h.Recipient[:], Sender: h.Sender[:], Wraps: wraps, Lists: s.namedLists(h),
	}
	b, err := marshal(req)
	if err != nil {
		s.tx.err = err
		return
	}
	name := prefixAdd + h.ID.String() + "/" + as
	s.tx.save(name, &state.Add{Request: b})
	s.do(Call{name, req})
}

// newName is a fresh random name for a record.
func (s *step) newName() string {
	var b [8]byte
	if _, err := io.ReadFull(s.e.rand, b[:]); err != nil {
		s.tx.err = fmt.Errorf("client: no randomness: %w", err)
	}
	return hex.EncodeToString(b[:])
}

// wrapsAdded takes the answer to an AddWraps: it may be stale again.
func (s *step) wrapsAdded(name string, req *resealv1.AddWrapsRequest, resp *resealv1.AddWrapsResponse) {
	if _, ok := s.tx.get(name); !ok || len(req.MessageId) != len(message.ID{}) {
		return
	}
	s.tx.delete(name)
	id := message.ID(req.MessageId)
	if out := s.out(id); out != nil && out.State == outStored && !out.Copy && len(resp.Stale) > 0 {
		s.count.Stale++
		out.Stale++
		s.rewrap(id, out, resp.Stale)
		s.saveOut(id, out)
	}
	s.tellEnd(id, resp.End)
}

// sendRefused takes a definite refusal of a send.
func (s *step) sendRefused(id message.ID, why *Refusal) {
	out := s.out(id)
	if out == nil || out.State != outQueued {
		return
	}
	s.tx.delete(prefixActive + id.String())
	h, err := message.ParseHeader(out.Header)
	if err != nil {
		s.tx.err = fmt.Errorf("%w: out", ErrState)
		return
	}
	switch {
	case why.Reason == resealv1.Reason_REASON_CLOCK && s.clock.Server != 0 && s.now.Sub(s.clock.Server).Abs() < time.Hour:
		// It was built long ago and never arrived: build it anew. The server
		// looks for a stored message first, so this is no second one.
		s.requeue(id, out, h)
		return
	case why.Reason == resealv1.Reason_REASON_UNKNOWN_BLOB && out.Tries < maxBlobTries:
		// Another recipient's view was the end of the blob before this message
		// referred to it: upload it again.
		if c := s.content(out.Content); c != nil && c.File != "" {
			c.Uploaded = false
			s.tx.save(contentName(seal.ContentID(c.Id)), c)
			s.requeue(id, out, h)
			s.upload(c)
			return
		}
	}
	out.State, out.Request, out.Refused = outRefused, nil, refusalError(why).Error()
	s.endOut(id, out)
	s.show(NotSent{message.ClientID(out.ClientId), h.Recipient, refusalError(why)})
}

// maxBlobTries bounds how often a message's blob is uploaded again.
const maxBlobTries = 8

// requeue builds a message anew that the server surely does not have.
func (s *step) requeue(id message.ID, out *state.Out, h message.Header) {
	s.tx.save(prefixQueue+hex.EncodeToString(out.ClientId), &state.Queued{
		Content: out.Content, To: h.Recipient[:], ClientId: out.ClientId, Policy: uint32(h.Policy),
		LifeMs: uint64(h.Expires.Sub(h.Created).Milliseconds()), QueuedAt: uint64(s.now), Tries: out.Tries + 1,
	})
	s.tx.put(usesName(out.Content, hex.EncodeToString(out.ClientId)), present)
	s.tx.delete(usesName(out.Content, id.String()))
	s.tx.delete(outName(id))
	s.advance()
}

// endOut deletes every copy of the keys of a message of ours.
func (s *step) endOut(id message.ID, out *state.Out) {
	content := out.Content
	out.Cek, out.R, out.Request, out.Content = nil, nil, nil, content
	s.saveOut(id, out)
	s.tx.delete(prefixActive + id.String())
	for _, prefix := range []string{prefixAdd, prefixAnswer} {
		for _, name := range s.tx.names(prefix + id.String() + "/") {
			s.tx.delete(name)
		}
	}
	if len(content) > 0 {
		s.release(content, id.String())
	}
}

// unsend ends a message of ours everywhere.
func (s *step) unsend(ev Unsend) error {
	out := s.out(ev.ID)
	if out == nil {
		return ErrUnknownMessage
	}
	if out.State != outStored && out.State != outQueued {
		return &EndedError{outState(out.State)}
	}
	h, err := message.ParseHeader(out.Header)
	if err != nil {
		return fmt.Errorf("%w: out", ErrState)
	}
	s.post(h, message.R(out.R), message.Unsent)
	if out.State == outQueued {
		s.show(NotSent{message.ClientID(out.ClientId), h.Recipient, &EndedError{message.StateUnsent}})
	}
	out.State = outUnsent
	s.endOut(ev.ID, out)
	s.mark(h, message.StateUnsent)
	s.show(Ended{ev.ID, message.StateUnsent})
	return nil
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
