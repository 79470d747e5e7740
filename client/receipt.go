package client

import (
	"fmt"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// post makes a receipt and delivers it until it is acknowledged.
func (s *step) post(h message.Header, r message.R, what message.What) {
	name := postName(h.ID, what)
	if _, ok := s.tx.get(name); ok {
		return
	}
	rc := message.Receipt{
		Message: h.ID, Account: s.e.id.account, Device: s.e.id.device, What: what, Time: s.now,
		Sender: s.head(h.Sender), Recipient: s.head(h.Recipient),
	}
	p := &state.Post{Receipt: rc.Seal(r), Sender: h.Sender[:], Recipient: h.Recipient[:]}
	if _, ends := what.Ends(); ends {
		p.R = r[:]
	}
	s.tx.save(name, p)
	s.deliver(name, p)
}

func (s *step) deliver(name string, p *state.Post) {
	rc, err := message.ParseReceipt(p.Receipt)
	if err != nil {
		s.tx.err = fmt.Errorf("%w: post", ErrState)
		return
	}
	s.do(Call{name, &resealv1.PostReceiptRequest{
		MessageId: rc.Message[:], Sender: p.Sender, Recipient: p.Recipient, Receipt: p.Receipt,
	}})
}

func postName(id message.ID, what message.What) string {
	return fmt.Sprintf("%s%v/%d", prefixPost, id, what)
}

// sendLives is how long after its creation the server may still take a send
// that was on its way (message.Header.CheckNew).
const sendLives = 48 * time.Hour

// postRefused takes a definite refusal of a receipt. Mostly the message is
// forgotten, and nobody is there to read it any more.
func (s *step) postRefused(name string, req *resealv1.PostReceiptRequest, why *Refusal) {
	rc, err := message.ParseReceipt(req.Receipt)
	rec, ok := s.record(rc.Message)
	if err == nil && ok && !rec.h.Expired(s.now) {
		switch {
		case rc.What == message.Unsent && why.Reason == resealv1.Reason_REASON_UNKNOWN_MESSAGE &&
			rec.out != nil && rec.out.StoredAt == 0 && !rec.out.Copy && s.now.Sub(rec.h.Created) < sendLives:
			// It was taken back before the server had it, and may be on its way
			// still: the receipt is delivered again at each connection.
			return
		case rc.What == message.Viewed && why.Reason == resealv1.Reason_REASON_CLAIMED:
			// Another device took this one for dead and claimed the view. Should
			// it be the one that dies, this claim ends the message.
			if s.mayCall("claim/" + rc.Message.String()) {
				s.claim(rc.Message)
			}
			return
		}
	}
	s.tx.delete(name)
}

// head is the newest list of an account as this device knows it.
func (s *step) head(id identity.AccountID) message.ListHead {
	p := s.peer(id)
	if !p.known {
		return message.ListHead{}
	}
	return message.ListHead{Version: p.list.List.Version, Hash: p.list.Hash()}
}

// record is a message as a device that can check receipts of it knows it.
type record struct {
	h   message.Header
	r   message.R
	out *state.Out
	in  *state.In
	// keyed tells that R is known: without it nothing can be checked.
	keyed bool
}

func (s *step) record(id message.ID) (rec record, ok bool) {
	var header, r []byte
	if rec.out = s.out(id); rec.out != nil {
		header, r = rec.out.Header, rec.out.R
	} else if rec.in = s.in(id); rec.in != nil {
		header, r = rec.in.Header, rec.in.R
	} else {
		return record{}, false
	}
	h, err := message.ParseHeader(header)
	if err != nil {
		s.tx.err = fmt.Errorf("%w: header", ErrState)
		return record{}, false
	}
	rec.h = h
	if len(r) == len(rec.r) {
		rec.r, rec.keyed = message.R(r), true
	}
	return rec, true
}

// receipt takes what another device says of a message. Without a good MAC it
// is nothing.
func (s *step) receipt(b []byte) {
	claimed, err := message.ParseReceipt(b)
	if err != nil {
		s.count.BadReceipts++
		return
	}
	rec, ok := s.record(claimed.Message)
	if !ok || !rec.keyed {
		return
	}
	rc, err := message.VerifyReceipt(b, rec.r, rec.h)
	if err != nil {
		s.count.BadReceipts++
		return
	}
	s.headSeen(rec.h.Sender, rc.Sender)
	s.headSeen(rec.h.Recipient, rc.Recipient)
	if rc.Account == s.e.id.account && rc.Device == s.e.id.device {
		return
	}
	if state, ends := rc.What.Ends(); ends {
		s.noteReceipt(rec, rc)
		s.over(rec, state)
		return
	}
	s.noteReceipt(rec, rc)
}

func (s *step) noteReceipt(rec record, rc message.Receipt) {
	seen := &state.ReceiptSeen{Account: rc.Account[:], Device: rc.Device[:], What: uint32(rc.What), At: uint64(rc.Time)}
	list := &[]*state.ReceiptSeen{}
	switch {
	case rec.out != nil:
		list = &rec.out.Receipts
	case rec.in != nil:
		list = &rec.in.Receipts
	}
	for _, r := range *list {
		if r.What == seen.What && string(r.Device) == string(seen.Device) {
			return
		}
	}
	// Each device of the recipient can say four things at most; more is noise.
	if len(*list) >= 4*2*identity.MaxDevices {
		return
	}
	*list = append(*list, seen)
	if rec.out != nil {
		s.saveOut(rec.h.ID, rec.out)
	} else {
		s.saveIn(rec.h.ID, rec.in)
	}
	s.show(Receipted{rec.h.ID, rc.Account, rc.Device, rc.What})
}

// headSeen: a party of a message knows a newer list than this device does; it
// is fetched. The same version under another hash is a fork.
func (s *step) headSeen(id identity.AccountID, head message.ListHead) {
	mine := s.head(id)
	switch {
	case head.Version > mine.Version:
		s.wantAccount(id)
	case head.Version == mine.Version && head.Version != 0 && head.Hash != mine.Hash:
		s.forked(id)
	}
}

// end takes an end record as the server keeps it. It carries the receipt that
// ended the message, which only the holder of R can have made.
func (s *step) end(b []byte) {
	e, err := message.ParseEndRecord(b)
	if err != nil {
		s.count.BadReceipts++
		return
	}
	rec, ok := s.record(e.Message)
	if !ok {
		return
	}
	if !rec.keyed {
		// Nothing here can check it, and nothing is deleted for it: the
		// message is no longer asked for, and a wrap that still comes opens it,
		// if the record does not hold under the wrap's R.
		if rec.in != nil && rec.in.State == inWaiting && e.Sender == rec.h.Sender {
			rec.in.ToldEnd, rec.in.ToldRecord = uint32(e.State), b
			s.saveIn(e.Message, rec.in)
			s.closeAsks(e.Message)
		}
		s.endDecided(rec, e)
		return
	}
	switch err := e.Verify(rec.h, rec.r, s.now); {
	case err != nil:
		s.count.BadReceipts++
	case e.State == message.StateExpired: // the clock decides, not the server
	default:
		s.receipt(e.Receipt)
	}
}

// tellEnd takes an end record that came as the answer to a call.
func (s *step) tellEnd(_ message.ID, b []byte) {
	if len(b) > 0 {
		s.end(b)
	}
}

// hasEnded tells whether a message has its end mark.
func (s *step) hasEnded(id message.ID) bool {
	_, ended := s.tx.get(endName(id))
	return ended
}

// over ends a message: every copy of its keys goes, and a mark stays that beats
// any message, wrap or repeat that comes later.
func (s *step) over(rec record, st message.State) {
	if s.hasEnded(rec.h.ID) {
		return
	}
	s.mark(rec.h, st)
	if rec.out != nil {
		out := s.out(rec.h.ID)
		if out.State == outQueued {
			s.outcome(rec.h, out, st)
		}
		out.State = outEnded[st]
		s.endOut(rec.h.ID, out)
	} else {
		s.endIn(rec.h.ID, s.in(rec.h.ID), st)
	}
	s.show(Ended{rec.h.ID, st})
}

// outcome tells what became of a send whose answer is not there and is not
// waited for any more: a receipt says that the message was stored.
func (s *step) outcome(h message.Header, out *state.Out, st message.State) {
	if out.StoredAt != 0 {
		return // the user was told
	}
	if st == message.StateExpired {
		s.show(NotSent{message.ClientID(out.ClientId), h.Recipient, &EndedError{st}})
		return
	}
	out.StoredAt = uint64(s.now)
	s.count.Sends++
	s.show(Stored{ID: h.ID, Client: message.ClientID(out.ClientId), To: h.Recipient, Devices: len(out.Wrapped)})
}

// endIn deletes every copy of the keys and the content of a message to us.
func (s *step) endIn(id message.ID, in *state.In, st message.State) {
	if h, err := message.ParseHeader(in.Header); err == nil && st == message.StateExpired {
		s.countExpired(h, in)
	}
	in.State = inEnded[st]
	if in.File != "" {
		s.do(Forget{in.File})
	}
	in.Cek, in.R, in.Inline, in.Segments, in.Wraps, in.File = nil, nil, nil, nil, nil, ""
	in.Name, in.Type, in.Caption = "", "", ""
	s.saveIn(id, in)
	s.strangerOver(id)
	s.waitsNoMore(id, in)
	for _, name := range s.tx.names(prefixAnswer + id.String() + "/") {
		s.tx.delete(name)
	}
	for _, name := range s.tx.names(prefixAdd + id.String() + "/") {
		s.tx.delete(name)
	}
	s.closeAsks(id)
}

// mark writes the end mark, kept until the expiry and a day.
func (s *step) mark(h message.Header, st message.State) {
	until := max(h.Expires, s.now).Add(message.EndKept)
	end := &state.End{State: uint32(st), At: uint64(s.now), Until: uint64(until)}
	for _, what := range []message.What{message.Viewed, message.Unsent} {
		if p := load[state.Post](&s.tx, postName(h.ID, what)); p != nil {
			end.Receipt = p.Receipt
		}
	}
	s.tx.save(endName(h.ID), end)
	s.tx.put(expireName(until, "end/"+h.ID.String()), present)
}
