package client

import (
	"slices"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
)

const (
	// maxHeldAsks bounds the requests that an alarm holds back; what is beyond it
	// is answered when the asker repeats it.
	maxHeldAsks = 64
	// maxHeldAsksOf is the same for one account: a device list has ten devices,
	// and the requests are not verified yet, so that one contact's, or what the
	// server makes up in his name, does not take the room of all.
	maxHeldAsksOf = 16
)

// holdAsk keeps a request that nothing but an alarm about the requester's
// account may keep from an answer: once the user has agreed to the key, nobody
// has to wait for the asker's repeat.
func (s *step) holdAsk(r *retry.SignedRequest, ev *resealv1.RetryRequested) {
	names := s.tx.names(prefixHeldAsk)
	if !s.mayConcern(r.Request) || len(names) >= maxHeldAsks {
		return
	}
	of := 0
	for _, name := range names {
		if h := s.heldAsk(name); h != nil && h.Request.Account == r.Request.Account {
			of++
		}
	}
	if of < maxHeldAsksOf {
		s.tx.save(prefixHeldAsk+r.ID().String(), &resealv1.RetryRequested{Request: ev.Request, MessageIds: ev.MessageIds})
	}
}

// mayConcern tells whether a request is about a message that went to the
// requester and for which this device could answer.
func (s *step) mayConcern(req retry.Request) bool {
	return slices.ContainsFunc(req.Messages, func(id message.ID) bool {
		rec, ok := s.record(id)
		return ok && rec.h.Recipient == req.Account && s.pendingKey(rec) != nil
	})
}

// heldAsk is nil for a record that cannot be read, which is dropped.
func (s *step) heldAsk(name string) *retry.SignedRequest {
	r, err := retry.ParseRequest(load[resealv1.RetryRequested](&s.tx, name).GetRequest())
	if err != nil {
		s.tx.delete(name)
		return nil
	}
	return r
}

// releaseAsks lets the requests of an account be judged that an alarm held
// back, where it is over, by the keys that the server has of it now: with the
// key that was agreed to, certificates are needed.
func (s *step) releaseAsks(id identity.AccountID) {
	names := s.tx.names(prefixHeldAsk)
	if len(names) == 0 {
		return
	}
	if c := s.contact(id); c == nil || c.Alarm != "" {
		return
	}
	for _, name := range names {
		r := s.heldAsk(name)
		if r == nil || r.Request.Account != id {
			continue
		}
		ev := load[resealv1.RetryRequested](&s.tx, name)
		s.tx.delete(name)
		s.wantAccount(id)
		s.putOff(r.ID(), ev, false)
	}
}

// dropHeldAsks forgets held requests for messages that are pending no more.
func (s *step) dropHeldAsks() {
	for _, name := range s.tx.names(prefixHeldAsk) {
		if r := s.heldAsk(name); r != nil && !s.mayConcern(r.Request) {
			s.tx.delete(name)
		}
	}
}
