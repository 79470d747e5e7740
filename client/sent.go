package client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
	"github.com/reseal/reseal/wrap"
)

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
	again := out.StoredAt != 0 // the user was told long ago
	out.State, out.Request, out.StoredAt = outStored, nil, uint64(s.now)
	before := len(out.Wrapped)
	if !again {
		s.count.Sends++
	}
	if len(resp.Stale) > 0 {
		if !again {
			s.count.Stale++
		}
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
	if !again {
		s.show(Stored{id, message.ClientID(out.ClientId), h.Recipient, devices, len(out.Wrapped) - before})
	}
	s.tellEnd(id, resp.End)
}

// rewrap follows the lists that the server found changed, and adds the wraps
// that lack. The caller saves out.
func (s *step) rewrap(id message.ID, out *state.Out, stale []*resealv1.AccountKeys) {
	s.learn(stale, passing)
	s.addLacking(id, out)
}

// addLacking adds wraps for the devices that have none. Where an epoch of this
// device's own is not published yet, or keys are on their way (a rotation, say,
// that has to be asked for) or the user has to decide about them, it does so
// again afterwards. The caller saves out.
func (s *step) addLacking(id message.ID, out *state.Out) {
	name := prefixLacks + id.String()
	s.tx.delete(name)
	h, err := message.ParseHeader(out.Header)
	if err != nil || len(out.Cek) == 0 {
		return
	}
	epoch := s.freshEpoch()
	if epoch == nil {
		s.tx.put(name, present)
		return
	}
	secret := wrap.Secret{CEK: seal.CEK(out.Cek), R: message.R(out.R), Digest: h.Digest}
	var wraps [][]byte
	for _, a := range []identity.AccountID{h.Recipient, h.Sender} {
		_, open := s.tx.get(prefixResolve + a.String())
		err := s.mayAddress(a)
		if open || errors.Is(err, ErrAlarm) {
			s.tx.put(name, present)
		}
		if err == nil {
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

// lacking does so for every message that may lack wraps.
func (s *step) lacking() {
	for _, name := range s.tx.names(prefixLacks) {
		id, err := message.ParseID(name[len(prefixLacks):])
		out := s.out(id)
		if err != nil || out == nil || out.State != outStored {
			s.tx.delete(name)
			continue
		}
		s.addLacking(id, out)
		s.saveOut(id, out)
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

// wrapsAdded takes the answer to an AddWraps: it may be stale again.
func (s *step) wrapsAdded(name string, req *resealv1.AddWrapsRequest, resp *resealv1.AddWrapsResponse) {
	if _, ok := s.tx.get(name); !ok || len(req.MessageId) != len(message.ID{}) {
		return
	}
	s.tx.delete(name)
	id := message.ID(req.MessageId)
	if out := s.out(id); out != nil && out.State == outStored && !out.Copy && len(resp.Stale) > 0 && out.Stale < maxStale {
		out.Stale++
		s.rewrap(id, out, resp.Stale)
		s.saveOut(id, out)
	}
	s.tellEnd(id, resp.End)
}

// maxStale bounds how often wraps are added to one message because somebody's
// devices or epochs changed again: what is missing then is asked for.
const maxStale = 32

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
	case out.StoredAt != 0:
		s.notReoffered(id, out, h, why)
		return
	case why.Reason == resealv1.Reason_REASON_CLOCK && out.Tries < maxTries && s.clock.Server != 0 && s.now.Sub(s.clock.Server).Abs() < time.Hour:
		// It was built long ago and never arrived: build it anew. The server
		// looks for a stored message first, and ends what may have been stored
		// and has expired since, so this is no second one.
		s.requeue(id, out, h)
		return
	case why.Reason == resealv1.Reason_REASON_UNKNOWN_BLOB && out.Tries < maxTries:
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

// maxTries bounds how often a message is built anew, and its blob uploaded again.
const maxTries = 8

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
	s.tx.delete(prefixLacks + id.String())
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
