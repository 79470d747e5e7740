package client

import (
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/message"
)

// outEnded and inEnded are the states of messages that are over.
var (
	outEnded = map[message.State]uint32{message.StateViewed: outViewed, message.StateExpired: outExpired, message.StateUnsent: outUnsent}
	inEnded  = map[message.State]uint32{message.StateViewed: inViewed, message.StateExpired: inExpired, message.StateUnsent: inUnsent}
)

// endDecided takes the end that the server has decided on for a message that this
// device ended itself: a view and an unsend crossed, and the other one came
// first. All devices then tell the same of it. There is nothing left to erase,
// but what is shown takes an authentic receipt all the same.
func (s *step) endDecided(rec record, e message.EndRecord) {
	for _, what := range []message.What{message.Viewed, message.Unsent} {
		p := load[state.Post](&s.tx, postName(rec.h.ID, what))
		if p == nil || len(p.R) != len(message.R{}) {
			continue
		}
		if mine, _ := what.Ends(); e.State == mine || e.State == message.StateExpired {
			return // the clock decides about expiry, not the server
		}
		if e.Verify(rec.h, message.R(p.R), s.now) != nil {
			s.count.BadReceipts++
			return
		}
		if rec.out != nil {
			rec.out.State = outEnded[e.State]
			s.saveOut(rec.h.ID, rec.out)
		} else {
			rec.in.State = inEnded[e.State]
			s.saveIn(rec.h.ID, rec.in)
		}
		s.mark(rec.h, e.State)
		if rc, err := message.ParseReceipt(e.Receipt); err == nil {
			s.noteReceipt(rec, rc)
		}
		s.show(Ended{rec.h.ID, e.State})
		return
	}
}
