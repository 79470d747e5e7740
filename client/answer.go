package client

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// RefusalError is what a user is told of a definite refusal.
type RefusalError struct {
	Reason resealv1.Reason
	// Limit names the limit or field, where there is one.
	Limit string
	// After is when it is worth another try; 0 where waiting does not help.
	After time.Duration
}

func (e *RefusalError) Error() string {
	s := "client: the server refuses: " + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(e.Reason.String(), "REASON_"), "_", " "))
	if e.Limit != "" {
		s += " (" + e.Limit + ")"
	}
	return s
}

// maxAfter is the longest wait that a server is believed, 30 days in milliseconds.
const maxAfter = 30 * 24 * 3600 * 1000

func refusalError(r *Refusal) error {
	return &RefusalError{r.Reason, r.Detail.GetLimit(), time.Duration(min(r.Detail.GetRetryAfterMs(), maxAfter)) * time.Millisecond}
}

// answered takes the answer to one of the engine's own calls.
func (s *step) answered(ev Answered) error {
	if ev.Refusal != nil {
		return s.refused(ev)
	}
	switch req := ev.Call.Request.(type) {
	case *resealv1.SendRequest:
		if h, err := message.ParseHeader(req.Header); err == nil {
			s.sent(h.ID, as[*resealv1.SendResponse](ev))
		}
	case *resealv1.AddWrapsRequest:
		if len(req.Wraps) == 0 {
			s.probed(req, as[*resealv1.AddWrapsResponse](ev))
			return nil
		}
		s.wrapsAdded(ev.Call.Key, req, as[*resealv1.AddWrapsResponse](ev))
	case *resealv1.PostReceiptRequest:
		s.tellEnd(message.ID{}, as[*resealv1.PostReceiptResponse](ev).GetEnd()) // checked by what is deleted next
		s.tx.delete(ev.Call.Key)
	case *resealv1.ClaimRequest:
		if len(req.MessageId) == len(message.ID{}) {
			s.claimed(message.ID(req.MessageId), as[*resealv1.ClaimResponse](ev))
		}
	case *resealv1.GetAccountsRequest:
		s.resolved(req, as[*resealv1.GetAccountsResponse](ev))
	case *resealv1.GetCertificatesRequest:
		s.certificates(req, as[*resealv1.GetCertificatesResponse](ev))
	case *resealv1.ChallengeEpochRequest:
		s.challenged(req, as[*resealv1.ChallengeEpochResponse](ev))
	case *resealv1.PublishEpochRequest:
		s.epochPublished(req)
		s.ask(false)
	case *resealv1.CloseRetryRequest:
		s.tx.delete(ev.Call.Key)
	case *resealv1.PutBookRequest:
		s.bookPut(ev.Call.Key, req)
	case *resealv1.GetBookRequest:
		return s.bookGot(as[*resealv1.GetBookResponse](ev))
	case *resealv1.SetBlockedRequest:
		s.blockTold(req)
	case *resealv1.ReadDayRequest:
		return s.leftRead(req, as[*resealv1.ReadDayResponse](ev))
	case *resealv1.AskRetryRequest, *resealv1.AcknowledgeRequest:
	}
	return nil
}

func as[T any](ev Answered) T {
	t, _ := ev.Response.(T)
	return t
}

// refused takes a refusal that a repeat would not change.
func (s *step) refused(ev Answered) error {
	switch req := ev.Call.Request.(type) {
	case *resealv1.SendRequest:
		if h, err := message.ParseHeader(req.Header); err == nil {
			if len(ev.Refusal.Detail.GetEnd()) > 0 {
				s.end(ev.Refusal.Detail.End)
			}
			s.sendRefused(h.ID, ev.Refusal)
			if ev.Refusal.Reason == resealv1.Reason_REASON_UNKNOWN_ACCOUNT {
				s.accountClosed(h.Recipient[:])
			}
		}
	case *resealv1.AddWrapsRequest:
		if len(req.Wraps) == 0 {
			s.notThere(req, ev.Refusal)
			return nil
		}
		s.tx.delete(ev.Call.Key)
		s.tellEnd(message.ID{}, ev.Refusal.Detail.GetEnd())
	case *resealv1.PostReceiptRequest:
		s.postRefused(ev.Call.Key, req, ev.Refusal)
	case *resealv1.ClaimRequest:
		if len(req.MessageId) == len(message.ID{}) {
			s.unclaimed(message.ID(req.MessageId), ev.Refusal)
		}
	case *resealv1.GetAccountsRequest:
		for _, k := range req.Accounts {
			s.tx.delete(prefixResolve + identity.AccountID(k.AccountId).String())
			s.lookAgain(identity.AccountID(k.AccountId))
			s.askedBy(identity.AccountID(k.AccountId))
		}
	case *resealv1.GetCertificatesRequest:
		s.certificatesOver(req)
	case *resealv1.GetBookRequest:
		s.e.bookGetting = false // the next connection asks again
	case *resealv1.PublishEpochRequest:
		s.epochRefused(req, ev.Refusal)
	case *resealv1.ChallengeEpochRequest:
		// A tick asks again.
	case *resealv1.CloseRetryRequest:
		s.tx.delete(ev.Call.Key)
	case *resealv1.AskRetryRequest:
		if name, _, ok := strings.Cut(strings.TrimPrefix(ev.Call.Key, prefixAsk), "/"); ok {
			s.endAsk(prefixAsk+name, s.now.Add(refusedAgain))
		}
	case *resealv1.PutBookRequest:
		s.bookNotPut(ev.Call.Key, ev.Refusal.Reason)
	case *resealv1.SetBlockedRequest:
		// The server takes no more blocks, say: it is told again at each
		// connection. Until then this device alone drops what the account sends.
	case *resealv1.ReadDayRequest:
		s.leftRefused(req)
	}
	return nil
}

// refusedAgain is how long a device waits before it asks again for what the
// server would not ask for.
const refusedAgain = time.Minute

// resolved: the accounts that were asked for. One that the server does not
// know stays unknown; what waits for it is shown as waiting.
func (s *step) resolved(req *resealv1.GetAccountsRequest, resp *resealv1.GetAccountsResponse) {
	s.learn(resp.GetAccounts(), complete)
	for _, k := range req.Accounts {
		there := func(a *resealv1.AccountKeys) bool { return bytes.Equal(a.AccountId, k.AccountId) }
		if !slices.ContainsFunc(resp.GetAccounts(), there) {
			s.accountClosed(k.AccountId)
		}
		if len(k.AccountId) == len(identity.AccountID{}) {
			s.tx.delete(prefixResolve + identity.AccountID(k.AccountId).String())
			s.lookAgain(identity.AccountID(k.AccountId))
			s.askedBy(identity.AccountID(k.AccountId))
		}
	}
	s.lacking()
	if !s.e.behind {
		s.ask(false)
	}
}

// certificates: superseded certificates that wraps name.
func (s *step) certificates(req *resealv1.GetCertificatesRequest, resp *resealv1.GetCertificatesResponse) {
	for _, b := range resp.GetCertificates() {
		c, err := s.e.memory.certificate(b)
		if err != nil {
			s.count.BadKeys++
			continue
		}
		p := s.peer(c.Certificate.Account)
		if !p.known {
			continue
		}
		// A certificate speaks only for a device of the list.
		if d, ok := p.list.Find(c.Certificate.Device); !ok || !s.e.memory.isCertified(c, d) {
			s.count.BadKeys++
			continue
		}
		s.keepCertificate(c)
	}
	s.certificatesOver(req)
}

// certificatesOver ends a question for certificates, answered or refused: what
// is not there now counts as not there until the next connection.
func (s *step) certificatesOver(req *resealv1.GetCertificatesRequest) {
	for _, n := range req.Certificates {
		if len(n.AccountId) == len(identity.AccountID{}) && len(n.DeviceId) == len(identity.DeviceID{}) {
			a, d := identity.AccountID(n.AccountId), identity.DeviceID(n.DeviceId)
			s.tx.delete(wantCertName(a, d, n.Epoch))
			if _, ok := s.tx.get(certName(a, d, n.Epoch)); !ok {
				s.e.noCert[certName(a, d, n.Epoch)] = true
			}
			s.reconsider(a)
			s.lookAgain(a)
		}
	}
	if !s.e.behind {
		s.ask(false) // for what a certificate that is not there would have opened
	}
}

func wantCertName(a identity.AccountID, d identity.DeviceID, epoch uint64) string {
	return prefixResolve + certName(a, d, epoch)
}

// wantCertificate asks for a certificate that a wrap names.
func (s *step) wantCertificate(a identity.AccountID, d identity.DeviceID, epoch uint64) {
	name := wantCertName(a, d, epoch)
	if _, ok := s.tx.get(name); ok {
		return
	}
	s.tx.put(name, present)
	s.askCertificate(a, d, epoch)
}

func (s *step) askCertificate(a identity.AccountID, d identity.DeviceID, epoch uint64) {
	s.do(Call{wantCertName(a, d, epoch), &resealv1.GetCertificatesRequest{
		Certificates: []*resealv1.NamedCertificate{{AccountId: a[:], DeviceId: d[:], Epoch: epoch}},
	}})
}

// streamed takes one event of the server's stream. It is acknowledged with the
// step's batch: what is stored need not come again.
func (s *step) streamed(ev *resealv1.EventsResponse) error {
	switch e := ev.GetEvent().(type) {
	case *resealv1.EventsResponse_Message:
		s.live = !s.e.behind
		s.arrived(e.Message)
	case *resealv1.EventsResponse_Wraps:
		s.newWraps(e.Wraps)
	case *resealv1.EventsResponse_End:
		s.end(e.End)
	case *resealv1.EventsResponse_Receipt:
		s.receipt(e.Receipt)
	case *resealv1.EventsResponse_Retry:
		s.requested(e.Retry, false)
	case *resealv1.EventsResponse_RetryClosed:
	case *resealv1.EventsResponse_Account:
		s.learned(s.learnOne(e.Account, passing))
	case *resealv1.EventsResponse_BookVersion:
		s.bookTold(e.BookVersion)
	case *resealv1.EventsResponse_Notice:
		s.accountNotice(e.Notice)
	case *resealv1.EventsResponse_AccountClosed:
		s.accountClosed(e.AccountClosed)
	}
	if !s.e.behind {
		s.ask(false)
	}
	s.acknowledge(ev)
	return nil
}

func (s *step) acknowledge(ev *resealv1.EventsResponse) {
	if len(ev.GetEntry()) > 0 {
		s.do(Call{"ack/" + fmt.Sprintf("%x", ev.Entry), &resealv1.AcknowledgeRequest{Entries: [][]byte{ev.Entry}}})
	}
}

// outstanding gives all effects that the stored records still call for.
func (s *step) outstanding() error {
	for _, name := range s.tx.names(prefixResolve) {
		rest := name[len(prefixResolve):]
		if id, err := identity.ParseAccountID(rest); err == nil {
			s.resolve(id)
			continue
		}
		var a, d string
		var epoch uint64
		if _, err := fmt.Sscanf(strings.ReplaceAll(strings.TrimPrefix(rest, prefixCert), "/", " "), "%s %s %x", &a, &d, &epoch); err == nil {
			account, err1 := identity.ParseAccountID(a)
			device, err2 := identity.ParseDeviceID(d)
			if err1 == nil && err2 == nil {
				s.askCertificate(account, device, epoch)
			}
		}
	}
	for _, name := range s.tx.names(prefixContent) {
		if c := load[state.Content](&s.tx, name); c != nil {
			s.upload(c)
		}
	}
	for _, name := range s.tx.names(prefixActive) {
		if id, err := message.ParseID(name[len(prefixActive):]); err == nil {
			s.resend(id)
		}
	}
	for _, name := range s.tx.names(prefixAdd) {
		s.readd(name)
	}
	for _, name := range s.tx.names(prefixPost) {
		if p := load[state.Post](&s.tx, name); p != nil {
			s.deliver(name, p)
		}
	}
	for _, name := range s.tx.names(prefixClose) {
		s.withdraw(name[len(prefixClose):])
	}
	for _, name := range s.tx.names(prefixNewer) {
		s.rereadNewer(name)
	}
	s.reclaim()
	s.outstandingBook()
	s.freshEpoch()
	s.dropHeldAsks()
	s.askedBefore()
	s.advance()
	return nil
}
