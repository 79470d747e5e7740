package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
	"github.com/reseal/reseal/seal"
	"github.com/reseal/reseal/wrap"
)

// ask asks holders for wraps: for what is open and due again, and for what
// waits and was not asked for yet. At a sync everything open is repeated.
func (s *step) ask(atSync bool) {
	if s.e.behind {
		return
	}
	asked := map[message.ID]map[identity.AccountID]bool{}
	for _, name := range s.tx.names(prefixAsk) {
		a := load[state.Ask](&s.tx, name)
		if a == nil || len(a.To) != len(identity.AccountID{}) {
			continue
		}
		if !s.stillOpen(a) {
			s.closeAsk(name)
			continue
		}
		for _, m := range a.Messages {
			id := message.ID(m)
			if asked[id] == nil {
				asked[id] = map[identity.AccountID]bool{}
			}
			asked[id][identity.AccountID(a.To)] = true
		}
		due, ok := retry.NextRepeat(identity.Time(a.AskedAt), int(a.Attempts))
		if !atSync && (!ok || s.now < due) {
			continue
		}
		if !atSync {
			a.Attempts++
		}
		s.tx.save(name, a)
		s.do(Call{name + "/" + fmt.Sprint(a.Attempts), &resealv1.AskRetryRequest{Requests: [][]byte{a.Request}}})
	}
	s.askNew(asked)
}

// stillOpen tells whether any message of a request still waits, and whether
// its certificate still holds: after a new epoch the request is made anew.
func (s *step) stillOpen(a *state.Ask) bool {
	r, err := retry.ParseRequest(a.Request)
	cur, _ := s.current()
	if err != nil || cur == nil || r.Request.Cert != cur.Certificate.Hash() {
		return false
	}
	for _, m := range a.Messages {
		if in := s.in(message.ID(m)); in != nil && in.State == inWaiting && in.ToldEnd == 0 {
			return true
		}
	}
	return false
}

// senderFirst is how long a device does not ask for a message that came over
// the open stream without a wrap: the sender, whom the second look has told of
// this device, is adding one.
const senderFirst = time.Second

// askNew makes one request for each account that may hold keys for what waits.
func (s *step) askNew(asked map[message.ID]map[identity.AccountID]bool) {
	want := map[identity.AccountID][]message.ID{}
	for _, name := range s.tx.names(prefixWait) {
		id, err := message.ParseID(name[len(prefixWait):])
		if err != nil {
			continue
		}
		in := s.in(id)
		if in == nil || in.Copy || in.State != inWaiting || in.ToldEnd != 0 {
			continue
		}
		h, err := message.ParseHeader(in.Header)
		if err != nil || h.Expired(s.now) || s.awaitsKeys(h, in) {
			continue
		}
		if p := s.peer(h.Sender); p.blocked || p.alarm {
			continue // held back until the user decides
		}
		if in.Live && s.now < identity.Time(in.SeenAt).Add(senderFirst) {
			continue
		}
		for _, to := range []identity.AccountID{s.e.id.account, h.Sender} {
			if !asked[id][to] {
				want[to] = append(want[to], id)
			}
		}
		if !in.Retried {
			in.Retried = true
			s.count.Retries++
			s.saveIn(id, in)
		}
	}
	if len(want) == 0 {
		return
	}
	epoch := s.freshEpoch()
	if epoch == nil {
		return // asked when it is published: advance ticks again
	}
	accounts := make([]identity.AccountID, 0, len(want))
	for to := range want {
		accounts = append(accounts, to)
	}
	slices.SortFunc(accounts, func(a, b identity.AccountID) int { return bytes.Compare(a[:], b[:]) })
	for _, to := range accounts {
		for _, ids := range retry.Batches(want[to]) {
			s.askFor(epoch, to, ids)
		}
	}
}

// awaitsKeys tells whether a message has a wrap that may still open once the
// wrapping account's keys are here; asking holders would be too early.
func (s *step) awaitsKeys(h message.Header, in *state.In) bool {
	if len(in.Wraps) == 0 {
		return false
	}
	for _, a := range []identity.AccountID{h.Sender, s.e.id.account} {
		if _, open := s.tx.get(prefixResolve + a.String()); open {
			return true
		}
		if len(s.tx.names(prefixResolve+prefixCert+a.String()+"/")) > 0 {
			return true
		}
	}
	return false
}

func (s *step) askFor(epoch *EpochKeys, to identity.AccountID, ids []message.ID) {
	nonce, err := retry.NewNonce(s.e.rand)
	if err != nil {
		s.tx.err = fmt.Errorf("client: no randomness: %w", err)
		return
	}
	head := s.head(s.e.id.account)
	r, err := retry.SignRequest(retry.Request{
		Account: s.e.id.account, Device: s.e.id.device, Cert: epoch.Certificate.Hash(),
		ListVersion: head.Version, ListHash: head.Hash, To: to, Messages: ids, Nonce: nonce,
	}, s.e.id.key)
	if err != nil {
		s.tx.err = fmt.Errorf("client: internal error: %w", err)
		return
	}
	a := &state.Ask{Request: r.Bytes(), To: to[:], AskedAt: uint64(s.now)}
	for _, id := range ids {
		a.Messages = append(a.Messages, id[:])
	}
	name := prefixAsk + r.ID().String()
	s.tx.save(name, a)
	s.do(Call{name + "/0", &resealv1.AskRetryRequest{Requests: [][]byte{a.Request}}})
}

// closeAsks closes the requests that a message was the last open one of.
func (s *step) closeAsks(id message.ID) {
	for _, name := range s.tx.names(prefixAsk) {
		a := load[state.Ask](&s.tx, name)
		if a == nil || !slices.ContainsFunc(a.Messages, func(m []byte) bool { return bytes.Equal(m, id[:]) }) {
			continue
		}
		if !s.stillOpen(a) {
			s.closeAsk(name)
		}
	}
}

func (s *step) closeAsk(name string) {
	id := name[len(prefixAsk):]
	s.tx.delete(name)
	s.tx.put(prefixClose+id, present)
	s.withdraw(id)
}

func (s *step) withdraw(id string) {
	b, err := message.ParseID(id) // the same 64 digits
	if err != nil {
		s.tx.delete(prefixClose + id)
		return
	}
	s.do(Call{prefixClose + id, &resealv1.CloseRetryRequest{RequestIds: [][]byte{b[:]}}})
}

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
	if !p.known {
		s.wantAccount(req.Account)
		s.putOff(r.ID(), ev, again)
		return
	}
	d, listed := p.list.Find(req.Device)
	signed := listed && r.Verify(d.Key) == nil
	if req.ListVersion > p.list.List.Version && !again {
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

// askedBefore judges the requests that were put off.
func (s *step) askedBefore() {
	for _, name := range s.tx.names(prefixAsked) {
		ev := load[resealv1.RetryRequested](&s.tx, name)
		s.tx.delete(name)
		if ev != nil {
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
		Certified: cert != nil && cert.Hash() == req.Cert && listed && cert.Verify(d) == nil && cert.Certificate.ValidAt(s.now),
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
		name := fmt.Sprintf("%s%v/%v/%d", prefixAnswer, id, req.Device, known.Requester.Epoch)
		if a := load[state.Answer](&s.tx, name); a != nil {
			s.count.Repeats++
			s.addRetry(rec.h, known.Requester, a.Wrap)
			return 1, false
		}
	case retry.Make:
		epoch := s.freshEpoch()
		if epoch == nil {
			return 0, true
		}
		h := rec.h.WithRewrapper(s.e.id.account, s.e.id.device)
		secret := wrap.Secret{CEK: seal.CEK(cek), R: rec.r, Digest: rec.h.Digest}
		b, err := s.wrapOne(h, secret, epoch, p, d, cert)
		if err != nil {
			s.count.BadKeys++
			return 0, false
		}
		// Stored before it is sent: the same device and epoch get the same bytes.
		s.tx.save(fmt.Sprintf("%s%v/%v/%d", prefixAnswer, id, req.Device, cert.Certificate.Epoch), &state.Answer{Wrap: b})
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
