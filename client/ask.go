package client

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
)

// asker is what an engine remembers so that an event does not go through all
// that waits: only what may have to be asked for, and when something is due.
// A sync begins with all of it, so that losing it with the process costs nothing.
type asker struct {
	// fresh are the waiting messages that may have to be asked for, with the
	// time before which they are not; at is the earliest of these.
	fresh map[message.ID]identity.Time
	at    identity.Time
	// due is no later than the next repeat of a request.
	due identity.Time
}

// senderFirst is how long a device does not ask for a message that came over
// the open stream without a wrap: the sender, whom the second look has told of
// this device, is adding one.
const senderFirst = time.Second

// wantWraps notes that a waiting message may have to be asked for.
func (s *step) wantWraps(id message.ID, in *state.In) {
	at := identity.Time(0)
	if in.Live {
		at = identity.Time(in.SeenAt).Add(senderFirst)
	}
	s.lookAt(id, at)
}

func (s *step) lookAt(id message.ID, at identity.Time) {
	a := &s.e.asker
	if a.fresh == nil {
		a.fresh = map[message.ID]identity.Time{}
	}
	if len(a.fresh) == 0 || at < a.at {
		a.at = at
	}
	a.fresh[id] = at
}

// lookAgain does so for everything of one account that waits: its keys are here,
// or will not come.
func (s *step) lookAgain(a identity.AccountID) {
	for _, id := range s.waiting(a) {
		s.lookAt(id, 0)
	}
}

// ask asks holders for wraps: for what is open and due again, and for what
// waits and was not asked for yet. At a sync everything open is repeated.
func (s *step) ask(atSync bool) {
	switch {
	case s.e.behind:
		return
	case atSync:
		s.askAgain()
	case s.now >= s.e.asker.due:
		s.askDue()
	}
	s.askNew()
}

// askAgain makes every open request again, and closes those that are not open.
func (s *step) askAgain() {
	cur, _ := s.current()
	for _, name := range s.tx.names(prefixAsk) {
		a := load[state.Ask](&s.tx, name)
		if a == nil || len(a.To) != len(identity.AccountID{}) {
			continue
		}
		if s.openCount(name) == 0 || !isCertified(a, cur) {
			s.closeAsk(name)
			continue
		}
		s.do(Call{name + "/" + fmt.Sprint(a.Attempts), &resealv1.AskRetryRequest{Requests: [][]byte{a.Request}}})
	}
}

// askDue makes the requests again that are due.
func (s *step) askDue() {
	const never = identity.MaxTime
	s.e.asker.due = never
	for _, index := range s.tx.names(prefixDue) {
		due, id, ok := cutTime(index[len(prefixDue):])
		if !ok {
			s.tx.delete(index)
			continue
		}
		if due > s.now {
			s.e.asker.due = min(s.e.asker.due, due)
			return
		}
		s.tx.delete(index)
		name := prefixAsk + id
		a := load[state.Ask](&s.tx, name)
		if a == nil {
			continue
		}
		a.Attempts++
		s.schedule(name, a)
		s.tx.save(name, a)
		s.do(Call{name + "/" + fmt.Sprint(a.Attempts), &resealv1.AskRetryRequest{Requests: [][]byte{a.Request}}})
	}
}

// cutTime cuts "<time>/<rest>", as names of indexes have it.
func cutTime(s string) (t identity.Time, rest string, ok bool) {
	if len(s) < 17 || s[16] != '/' {
		return 0, "", false
	}
	n, err := strconv.ParseUint(s[:16], 16, 64)
	return identity.Time(n), s[17:], err == nil
}

// schedule notes when a request is made again. The caller saves it.
func (s *step) schedule(name string, a *state.Ask) {
	a.NextAt = 0
	if due, ok := retry.NextRepeat(identity.Time(a.AskedAt), int(a.Attempts)); ok {
		a.NextAt = uint64(due)
		s.tx.put(dueName(due, name[len(prefixAsk):]), present)
		s.e.asker.due = min(s.e.asker.due, due)
	}
}

// isCertified tells whether a request names the certificate that still holds:
// after a new epoch it is made anew.
func isCertified(a *state.Ask, cur *ownEpoch) bool {
	r, err := retry.ParseRequest(a.Request)
	return err == nil && cur != nil && r.Request.Cert == cur.certificate.Hash()
}

// renewAsks ends the requests that name a certificate that is superseded.
func (s *step) renewAsks() {
	cur, _ := s.current()
	for _, name := range s.tx.names(prefixAsk) {
		if a := load[state.Ask](&s.tx, name); a != nil && !isCertified(a, cur) {
			s.closeAsk(name)
		}
	}
}

// askNew makes one request for each account that may hold keys for what waits.
func (s *step) askNew() {
	if len(s.e.asker.fresh) == 0 || s.now < s.e.asker.at {
		return
	}
	epoch := s.freshEpoch()
	if epoch == nil {
		return // asked when it is published: advance ticks again
	}
	want := map[identity.AccountID][]message.ID{}
	for _, id := range s.takeFresh() {
		s.wanted(want, id)
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

// takeFresh returns what is to be looked at now, oldest day first.
func (s *step) takeFresh() (ids []message.ID) {
	a := &s.e.asker
	a.at = identity.MaxTime
	for id, at := range a.fresh {
		if at > s.now {
			a.at = min(a.at, at)
			continue
		}
		delete(a.fresh, id)
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b message.ID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// wanted adds a message to what each account is asked for.
func (s *step) wanted(want map[identity.AccountID][]message.ID, id message.ID) {
	in := s.in(id)
	if in == nil || in.Copy || in.State != inWaiting || in.ToldEnd != 0 {
		return
	}
	h, err := message.ParseHeader(in.Header)
	if err != nil || h.Expired(s.now) || s.awaitsKeys(h, in) {
		return
	}
	if p := s.peer(h.Sender); p.blocked || p.alarm {
		s.holdTime(id, in)
		return // held back until the user decides
	}
	for _, to := range []identity.AccountID{s.e.id.account, h.Sender} {
		if _, asked := s.tx.get(askingName(id, to)); !asked && !slices.Contains(want[to], id) {
			want[to] = append(want[to], id)
		}
	}
	if !in.Retried {
		in.Retried = true
		s.count.Retries++
		s.saveIn(id, in)
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

func (s *step) askFor(epoch *ownEpoch, to identity.AccountID, ids []message.ID) {
	nonce, err := retry.NewNonce(s.e.rand)
	if err != nil {
		s.tx.err = fmt.Errorf("client: no randomness: %w", err)
		return
	}
	head := s.head(s.e.id.account)
	r, err := retry.SignRequest(retry.Request{
		Account: s.e.id.account, Device: s.e.id.device, Cert: epoch.certificate.Hash(),
		ListVersion: head.Version, ListHash: head.Hash, To: to, Messages: ids, Nonce: nonce,
	}, s.e.id.key)
	if err != nil {
		s.tx.err = fmt.Errorf("client: internal error: %w", err)
		return
	}
	a := &state.Ask{Request: r.Bytes(), To: to[:], AskedAt: uint64(s.now)}
	name := prefixAsk + r.ID().String()
	for _, id := range ids {
		a.Messages = append(a.Messages, id[:])
		s.tx.put(askingName(id, to), []byte(name))
	}
	s.setOpen(name, len(ids))
	s.schedule(name, a)
	s.tx.save(name, a)
	s.do(Call{name + "/0", &resealv1.AskRetryRequest{Requests: [][]byte{a.Request}}})
}

// openCount is how many messages of a request still wait.
func (s *step) openCount(ask string) int {
	b, ok := s.tx.get(prefixOpen + ask[len(prefixAsk):])
	if !ok || len(b) != 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(b))
}

func (s *step) setOpen(ask string, n int) {
	s.tx.put(prefixOpen+ask[len(prefixAsk):], binary.BigEndian.AppendUint16(nil, uint16(n)))
}

// closeAsks closes the requests that a message was the last open one of.
func (s *step) closeAsks(id message.ID) {
	for _, index := range s.tx.names(prefixAsking + id.String() + "/") {
		b, _ := s.tx.get(index)
		s.tx.delete(index)
		ask := string(b)
		if n := s.openCount(ask); n > 1 {
			s.setOpen(ask, n-1)
		} else {
			s.closeAsk(ask)
		}
	}
}

// closeAsk ends a request and withdraws it from the server. What of it still
// waits is looked at again.
func (s *step) closeAsk(name string) {
	s.endAsk(name, 0)
	id := name[len(prefixAsk):]
	s.tx.put(prefixClose+id, present)
	s.withdraw(id)
}

// endAsk forgets a request; what of it still waits is asked for anew, not before
// the given time.
func (s *step) endAsk(name string, at identity.Time) {
	a := load[state.Ask](&s.tx, name)
	if a == nil {
		return
	}
	s.tx.delete(name)
	s.tx.delete(prefixOpen + name[len(prefixAsk):])
	if a.NextAt != 0 {
		s.tx.delete(dueName(identity.Time(a.NextAt), name[len(prefixAsk):]))
	}
	for _, m := range a.Messages {
		index := askingName(message.ID(m), identity.AccountID(a.To))
		if b, ok := s.tx.get(index); ok && string(b) == name {
			s.tx.delete(index)
			s.lookAt(message.ID(m), at)
		}
	}
}

func (s *step) withdraw(id string) {
	b, err := message.ParseID(id) // the same 64 digits
	if err != nil {
		s.tx.delete(prefixClose + id)
		return
	}
	s.do(Call{prefixClose + id, &resealv1.CloseRetryRequest{RequestIds: [][]byte{b[:]}}})
}
