package client

import (
	"bytes"
	"maps"
	"slices"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

func (s *step) claim(id message.ID) {
	s.do(Call{"claim/" + id.String(), &resealv1.ClaimRequest{MessageId: id[:]}})
}

// viewing is how far the opening of a once message is.
type viewing uint8

const (
	// awaited: somebody waits for the grant.
	awaited viewing = iota + 1
	// shown: it was granted, and is being shown.
	shown
)

// claimRenewed is how much of a claim's two minutes is left when it is made
// again, so that what takes longer to show is not given to another device.
const claimRenewed = time.Minute

// opening are the messages that somebody opens, in order.
func (e *Engine) opening() []message.ID {
	return slices.SortedFunc(maps.Keys(e.views), func(a, b message.ID) int { return bytes.Compare(a[:], b[:]) })
}

// reclaim makes the claims again whose answer went with the connection:
// somebody waits for them.
func (s *step) reclaim() {
	for _, id := range s.e.opening() {
		if in := s.in(id); in == nil || in.State != inViewing {
			s.noView(id, in, nil)
		} else if s.e.views[id] == awaited {
			s.claim(id)
		}
	}
}

// renew makes the claims longer of what is being shown.
func (s *step) renew() {
	now := s.now
	if s.clock.Server != 0 {
		now = s.clock.Server // whose time a claim is in
	}
	for _, id := range s.e.opening() {
		if in := s.in(id); s.e.views[id] == shown && in != nil && in.State == inViewing && identity.Time(in.ClaimedUntil).Sub(now) < claimRenewed {
			s.claim(id)
		}
	}
}

// claimed: the one view is this device's, for two minutes.
func (s *step) claimed(id message.ID, resp *resealv1.ClaimResponse) {
	if p := load[state.Post](&s.tx, postName(id, message.Viewed)); p != nil {
		s.deliver(postName(id, message.Viewed), p)
		return
	}
	in := s.in(id)
	if in == nil || in.State != inViewing {
		s.noView(id, in, nil)
		return
	}
	in.ClaimedUntil = resp.GetUntilMs()
	s.saveIn(id, in)
	if s.e.views[id] == awaited {
		s.e.views[id] = shown
		s.show(Granted{id})
	}
}

// unclaimed: the server refused the claim.
func (s *step) unclaimed(id message.ID, why *Refusal) {
	in := s.in(id)
	if in == nil || in.State != inViewing {
		s.noView(id, in, nil)
		return
	}
	in.State = inReady
	s.saveIn(id, in)
	err := refusalError(why)
	switch why.Reason {
	case resealv1.Reason_REASON_CLAIMED:
		err = ErrClaimed
	case resealv1.Reason_REASON_MESSAGE_ENDED, resealv1.Reason_REASON_UNKNOWN_MESSAGE:
		err = nil
		if len(why.Detail.GetEnd()) > 0 {
			s.end(why.Detail.GetEnd())
		} else if why.Reason == resealv1.Reason_REASON_UNKNOWN_MESSAGE {
			err = ErrNotAtServer // a server that was put back from a copy
		}
	}
	s.noView(id, s.in(id), err)
}

// noView ends the opening of a message that is not to be shown: whoever waits
// for the grant is told why. Without a reason, the message has ended.
func (s *step) noView(id message.ID, in *state.In, why error) {
	v := s.e.views[id]
	delete(s.e.views, id)
	if v != awaited {
		return
	}
	if why == nil {
		why = &EndedError{message.StateViewed}
		if in != nil {
			if st, ended := inState(in.State); ended {
				why = &EndedError{st}
			}
		}
	}
	s.show(Denied{id, why})
}
