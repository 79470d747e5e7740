package client

import (
	"fmt"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
	"github.com/reseal/reseal/wrap"
)

// A server that was put back from a copy has forgotten whatever came after it.
// So after each sync a device asks how the newest message stands of those that
// the server took from it before this connection. Where the server does not know
// it, it is offered again as it was, under its id, with wraps for the devices of
// now; and the one before it is asked for. A copy has all that came before what it
// has, so the first one that is known ends this. How far it has come is stored:
// what is sent on the new connection must not hide what was lost.

const prefixProbe = "probe/"

// beforeProbe notes, when a connection begins, which messages are asked for.
func (s *step) beforeProbe() {
	if s.me().ProbeThrough != 0 {
		return // of an earlier connection, not done yet
	}
	if id, _ := s.newestStored(s.now); id != (message.ID{}) {
		s.edit(func(self *state.Self) { self.ProbeThrough = uint64(s.now) })
	}
}

// probe asks for the newest message that is not known to be there, or ends it.
func (s *step) probe() {
	through := s.me().ProbeThrough
	if through == 0 || s.e.behind {
		return
	}
	id, h := s.newestStored(identity.Time(through))
	if id == (message.ID{}) {
		s.edit(func(self *state.Self) { self.ProbeThrough = 0 })
		return
	}
	s.do(Call{prefixProbe + id.String(), &resealv1.AddWrapsRequest{MessageId: id[:], Recipient: h.Recipient[:], Sender: h.Sender[:]}})
}

// newestStored is the message of this device's own that the server took last, up
// to a time, of those that can be offered again; zero for none.
func (s *step) newestStored(through identity.Time) (newest message.ID, nh message.Header) {
	last := uint64(0)
	for _, name := range s.tx.names(prefixOut) {
		out := load[state.Out](&s.tx, name)
		if out == nil || out.State != outStored || out.StoredAt > uint64(through) || out.StoredAt < last || !s.reofferable(out) {
			continue
		}
		if h, err := message.ParseHeader(out.Header); err == nil && !h.Expired(s.now) {
			last, newest, nh = out.StoredAt, h.ID, h
		}
	}
	return newest, nh
}

// reofferable tells whether a message can be offered again by this device.
func (s *step) reofferable(out *state.Out) bool {
	if out.Copy || len(out.Cek) == 0 || out.Tries >= maxTries || s.content(out.Content) == nil {
		return false
	}
	h, err := message.ParseHeader(out.Header)
	if err != nil || (h.Recipient != s.e.id.account && s.mayAddress(h.Recipient) != nil) {
		return false
	}
	c := s.contact(h.Recipient)
	return c == nil || !c.Closed
}

// probed takes the answer to a probe: the message is there, or over.
func (s *step) probed(req *resealv1.AddWrapsRequest, resp *resealv1.AddWrapsResponse) {
	s.edit(func(self *state.Self) { self.ProbeThrough = 0 })
	if len(req.MessageId) != len(message.ID{}) {
		return
	}
	// Who came since it was sent asks for their key.
	s.tellEnd(message.ID(req.MessageId), resp.GetEnd())
}

// notThere takes a refusal of a probe.
func (s *step) notThere(req *resealv1.AddWrapsRequest, why *Refusal) {
	if len(req.MessageId) != len(message.ID{}) {
		return
	}
	id := message.ID(req.MessageId)
	s.tellEnd(id, why.Detail.GetEnd())
	out := s.out(id)
	if why.Reason != resealv1.Reason_REASON_UNKNOWN_MESSAGE || out == nil || out.State != outStored {
		s.edit(func(self *state.Self) { self.ProbeThrough = 0 })
		return
	}
	epoch := s.freshEpoch()
	if epoch == nil {
		return // it is published now; the next sync asks again
	}
	s.edit(func(self *state.Self) { self.ProbeThrough = max(out.StoredAt, 1) })
	s.reoffer(id, out, epoch)
	s.probe()
}

// reoffer sends a message once more that the server took and does not know.
func (s *step) reoffer(id message.ID, out *state.Out, epoch *ownEpoch) {
	h, err := message.ParseHeader(out.Header)
	c := s.content(out.Content)
	if err != nil || c == nil || len(out.R) != len(message.R{}) {
		s.tx.err = fmt.Errorf("%w: out", ErrState)
		return
	}
	out.Wrapped, out.State, out.Tries = nil, outQueued, out.Tries+1
	secret := wrap.Secret{CEK: seal.CEK(out.Cek), R: message.R(out.R), Digest: h.Digest}
	req := s.sendRequest(out, h, c, secret, epoch)
	b, err := marshal(req)
	if err != nil {
		s.tx.err = err
		return
	}
	out.Request = b
	s.saveOut(id, out)
	s.tx.put(prefixActive+id.String(), present)
	s.count.Reoffered++
	s.do(Call{"send/" + id.String(), req})
}

// notReoffered: the server does not take a message again that it took before.
// Whoever has it keeps it; where nobody has said so and it is only too old, it is
// made anew.
func (s *step) notReoffered(id message.ID, out *state.Out, h message.Header, why *Refusal) {
	if why.Reason == resealv1.Reason_REASON_CLOCK && !receivedBy(out, h.Recipient) && s.contentOf(out) && !h.Expired(s.now) {
		s.requeue(id, out, h)
		return
	}
	if why.Reason == resealv1.Reason_REASON_UNKNOWN_BLOB && s.contentOf(out) {
		// Its file is uploaded again, and then the same message.
		c := s.content(out.Content)
		if c.File != "" && c.Uploaded {
			c.Uploaded = false
			s.tx.save(contentName(seal.ContentID(c.Id)), c)
			s.requeue(id, out, h)
			s.upload(c)
			return
		}
	}
	out.State, out.Request = outStored, nil
	s.saveOut(id, out)
}

func (s *step) contentOf(out *state.Out) bool { return s.content(out.Content) != nil }

// receivedBy tells whether a device of an account has said that it has a message.
func receivedBy(out *state.Out, a identity.AccountID) bool {
	for _, r := range out.Receipts {
		if string(r.Account) == string(a[:]) {
			return true
		}
	}
	return false
}

// endAgain tells a server again that this device ended a message which the server
// has as pending: put back from a copy, it has forgotten the end.
func (s *step) endAgain(h message.Header) {
	m := load[state.End](&s.tx, endName(h.ID))
	if m == nil || len(m.Receipt) == 0 {
		return
	}
	rc, err := message.ParseReceipt(m.Receipt)
	if err != nil || rc.Message != h.ID {
		return
	}
	name := postName(h.ID, rc.What)
	if _, ok := s.tx.get(name); ok {
		return // it is under way
	}
	p := &state.Post{Receipt: m.Receipt, Sender: h.Sender[:], Recipient: h.Recipient[:]}
	s.tx.save(name, p)
	s.deliver(name, p)
}

// offerBook puts this device's book in the place of an older one that the server
// serves, under a version that no device has seen yet: they merge it.
func (s *step) offerBook(served uint64) {
	if len(s.encodedBook()) == 0 || s.e.bookPutting != nil || !s.mayCall(budgetBook) {
		return
	}
	s.e.bookOver = served + 1
	s.edit(func(self *state.Self) { self.BookDirty = true })
	s.putBook()
}

// signedBook is the version of the book that the own list names.
func (s *step) signedBook() uint64 {
	l, err := s.e.list(s.me().List)
	if err != nil {
		return 0
	}
	return l.List.BookVersion
}

// offerList gives the server the account's newest list, where it serves an older
// one under the same key: without it a device that comes new would make a fork of
// the list.
func (s *step) offerList(newest, served *identity.SignedList) {
	if newest.List.Key != served.List.Key || newest.List.Version <= served.List.Version || newest.Rotation() || s.e.offered == newest.List.Version {
		return
	}
	s.e.offered = newest.List.Version // once on a connection
	if _, here := newest.Find(s.e.id.device); here {
		s.do(Call{"list/offer", &resealv1.OfferListRequest{List: newest.Bytes()}})
	}
}
