package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
	"github.com/reseal/reseal/seal"
	"github.com/reseal/reseal/wrap"
)

// requested answers somebody's retry request, as far as every condition of
// spec/retry.md holds. No answer and a refusal look alike.
// again tells that it was put off before.
func (s *step) requested(ev *resealv1.RetryRequested, again bool) {
	r, err := retry.ParseRequest(ev.GetRequest())
	if err != nil {
		s.count.BadRequests++
		return
	}
	req := r.Request
	if ev.Requester != nil && bytes.Equal(ev.Requester.AccountId, req.Account[:]) {
		s.learn([]*resealv1.AccountKeys{ev.Requester}, passing)
	}
	p := s.peer(req.Account)
	if p.alarm && !p.blocked {
		s.holdAsk(r, ev)
		s.count.Refusals += uint64(len(req.Messages))
		return
	}
	if !p.known {
		if !s.concerns(req) {
			return
		}
		s.wantAccount(req.Account)
		s.putOff(r.ID(), ev, again)
		return
	}
	d, listed := p.list.Find(req.Device)
	signed := listed && r.Verify(d.Key) == nil
	if !again && (req.ListVersion > p.list.List.Version || s.certificateComes(req, p)) {
		s.wantAccount(req.Account)
		s.putOff(r.ID(), ev, again)
		return
	} else if signed && req.ListVersion == p.list.List.Version && req.ListHash != p.list.Hash() {
		s.forked(req.Account)
		return
	}
	ids := req.Messages
	if len(ev.MessageIds) > 0 {
		ids = part(req.Messages, ev.MessageIds)
	}
	wraps, later := 0, false
	for _, id := range ids {
		n, wait := s.answerOne(r, p, id)
		wraps, later = wraps+n, later || wait
	}
	if later {
		s.putOff(r.ID(), ev, false)
	}
	if wraps > 0 {
		s.show(Answering{req.Account, wraps})
	}
}

// concerns tells whether a request is about a message that this device knows of
// and that went to the requester: an account that is not known is not looked up
// for anything else.
func (s *step) concerns(req retry.Request) bool {
	return slices.ContainsFunc(req.Messages, func(id message.ID) bool {
		rec, ok := s.record(id)
		return ok && rec.h.Recipient == req.Account
	})
}

// certificateComes tells whether the account was asked for, and the certificate
// that the request names may be in the answer.
func (s *step) certificateComes(req retry.Request, p peer) bool {
	_, wanted := s.tx.get(prefixResolve + req.Account.String())
	cert := p.certs[req.Device]
	return wanted && (cert == nil || cert.Hash() != req.Cert)
}

// maxAsked bounds the requests that are put off; the asker repeats them.
const maxAsked = 64

// putOff keeps a request until the requester's keys, or an epoch of this
// device's own to answer with, are there.
func (s *step) putOff(id retry.RequestID, ev *resealv1.RetryRequested, again bool) {
	if again || len(s.tx.names(prefixAsked)) >= maxAsked {
		return
	}
	s.tx.save(prefixAsked+id.String(), &resealv1.RetryRequested{Request: ev.Request, MessageIds: ev.MessageIds})
}

// askedBefore judges all requests that were put off; one whose requester's keys
// are still on their way is put off again.
func (s *step) askedBefore() {
	for _, name := range s.tx.names(prefixAsked) {
		ev := load[resealv1.RetryRequested](&s.tx, name)
		s.tx.delete(name)
		if ev != nil {
			s.requested(ev, false)
		}
	}
}

// askedBy judges the requests of one account that were put off, by the keys
// that are here now: there are no others.
func (s *step) askedBy(id identity.AccountID) {
	for _, name := range s.tx.names(prefixAsked) {
		ev := load[resealv1.RetryRequested](&s.tx, name)
		r, err := retry.ParseRequest(ev.GetRequest())
		if err == nil && r.Request.Account != id {
			continue
		}
		s.tx.delete(name)
		if err == nil {
			s.requested(ev, true)
		}
	}
}

// part is what was dealt to this device, as far as the request asks for it.
func part(all []message.ID, dealt [][]byte) []message.ID {
	var ids []message.ID
	for _, b := range dealt {
		if len(b) == len(message.ID{}) && slices.Contains(all, message.ID(b)) {
			ids = append(ids, message.ID(b))
		}
	}
	return ids
}

// answerOne decides on one message of a request and answers it. later tells that
// it would, with a fresh epoch, which is under way.
func (s *step) answerOne(r *retry.SignedRequest, p peer, id message.ID) (wraps int, later bool) {
	req := r.Request
	rec, ok := s.record(id)
	if !ok {
		return 0, false
	}
	d, listed := p.list.Find(req.Device)
	cert := p.certs[req.Device]
	known := retry.Known{
		KeyPinned: !p.alarm, NotBlocked: !p.blocked, Listed: listed,
		Signed:    listed && r.Verify(d.Key) == nil,
		Certified: cert != nil && cert.Hash() == req.Cert && listed && s.e.memory.isCertified(cert, d) && cert.Certificate.ValidAt(s.now),
		Addressed: req.To == s.e.id.account || req.Account == s.e.id.account,
		Recorded:  rec.h.Recipient == req.Account,
		KeyHeld:   rec.keyed, DigestOriginal: true,
	}
	cek := s.pendingKey(rec)
	known.Pending = cek != nil
	if cert != nil {
		known.Requester = retry.Answer{Device: req.Device, Epoch: cert.Certificate.Epoch}
	}
	known.Answers = s.answers(id)
	known.Open = len(s.tx.names(prefixAdd + id.String() + "/" + retryAdds))
	switch v, _ := retry.Decide(known); v {
	case retry.Repeat:
		if b := s.given(answerName(id, req.Device, known.Requester.Epoch)); b != nil {
			s.count.Repeats++
			s.addRetry(rec.h, known.Requester, b)
			return 1, false
		}
		fallthrough
	case retry.Make:
		epoch := s.freshEpoch()
		if epoch == nil {
			return 0, true
		}
		h := rec.h.WithRewrapper(s.e.id.account, s.e.id.device)
		secret := wrap.Secret{CEK: seal.CEK(cek), R: rec.r, Digest: rec.h.Digest}
		b, err := s.wrapOnce(h, secret, epoch, p, d, cert, true)
		if err != nil {
			s.count.BadKeys++
			return 0, false
		}
		s.count.Answers++
		s.addRetry(rec.h, known.Requester, b)
		return 1, false
	default:
		s.count.Refusals++
	}
	return 0, false
}

// retryAdds begins the names of AddWraps requests that answer a retry request.
const retryAdds = "retry-"

// addRetry answers; an answer to the same device and epoch that is still under
// way is the same one.
func (s *step) addRetry(h message.Header, to retry.Answer, wrap []byte) {
	s.addWraps(h, [][]byte{wrap}, fmt.Sprintf("%s%v-%d", retryAdds, to.Device, to.Epoch))
}

// pendingKey is the content key of a message that is pending by this device's
// own records and clock, nil otherwise.
func (s *step) pendingKey(rec record) []byte {
	if _, ended := s.tx.get(endName(rec.h.ID)); ended || rec.h.Expired(s.now) {
		return nil
	}
	switch {
	case rec.out != nil && (rec.out.State == outStored || rec.out.State == outQueued) && len(rec.out.Cek) > 0:
		return rec.out.Cek
	case rec.in != nil && (rec.in.State == inReady || rec.in.State == inViewing) && len(rec.in.Cek) > 0:
		return rec.in.Cek
	}
	return nil
}

// answers are all that this device gave out for a message.
func (s *step) answers(id message.ID) []retry.Answer {
	var all []retry.Answer
	prefix := prefixAnswer + id.String() + "/"
	for _, name := range s.tx.names(prefix) {
		dev, epoch, ok := bytes.Cut([]byte(name[len(prefix):]), []byte("/"))
		d, err := identity.ParseDeviceID(string(dev))
		if !ok || err != nil {
			continue
		}
		var n uint64
		if _, err := fmt.Sscan(string(epoch), &n); err == nil {
			all = append(all, retry.Answer{Device: d, Epoch: n})
		}
	}
	return all
}

// newWraps takes wraps that came after their message.
func (s *step) newWraps(ev *resealv1.NewWraps) {
	if len(ev.GetMessageId()) != len(message.ID{}) {
		return
	}
	id := message.ID(ev.MessageId)
	in := s.in(id)
	if in == nil || (in.State != inWaiting && in.State != inUpdate) {
		return
	}
	h, err := message.ParseHeader(in.Header)
	if err != nil {
		s.tx.err = fmt.Errorf("%w: in", ErrState)
		return
	}
	s.moreWraps(in, ev.Wraps)
	s.open(h, in)
}

// readd makes a stored AddWraps request again.
func (s *step) readd(name string) {
	a := load[state.Add](&s.tx, name)
	if a == nil {
		return
	}
	req := new(resealv1.AddWrapsRequest)
	if err := proto.Unmarshal(a.Request, req); err != nil {
		s.tx.err = errors.Join(ErrState, err)
		return
	}
	s.do(Call{name, req})
}
