package mailbox

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"time"

	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// maxSent bounds what a stream remembers of what it sent, about 100 bytes each.
// Past it all is forgotten, and what is not acknowledged goes out once more.
const maxSent = 2 * backlog

// mark notes that an entry went out.
func (st *stream) mark(name []byte) {
	if len(st.sent) >= maxSent {
		clear(st.sent)
	}
	st.sent[string(name)] = struct{}{}
}

// pause is how long a stream waits before it looks by itself: all streams come
// back at one moment after a restart, and must not look at one moment as well.
func (s *Service) pause() time.Duration {
	every := s.Recheck
	if every <= 0 {
		every = recheck
	}
	return every/2 + rand.N(every)
}

func days(from, through uint32) (d []uint32) {
	for ; from <= through; from++ {
		d = append(d, from)
	}
	return d
}

// perSweep is how many of the older days one look goes through: all of them in
// ten minutes.
const perSweep = 6

// someDays are the days that one look goes through: those around today, where
// nearly all entries lie, and some of the others in turn.
func (s *Service) someDays(st *stream) []uint32 {
	today := s.now().Day()
	some := days(today-1, today+1)
	for range perSweep {
		some = append(some, today-2-st.turn%(QueueDays-1))
		st.turn++
	}
	return some
}

// sweepQueue sends what waits in the device's queue of some days and did not go
// out on this stream yet. It is the first thing that a stream does, and goes on
// about once a minute: a lost hint costs time, never a message.
func (s *Service) sweepQueue(ctx context.Context, st *stream, days []uint32, out resealv1connect.MailboxServiceEventsServerStream) error {
	told := map[[32]byte]bool{}
	for _, day := range days {
		if err := s.sweepDay(ctx, st, day, told, out); err != nil {
			return err
		}
	}
	return nil
}

// sweepDay goes through one day. Of entries that say the same one is sent and the
// others are removed, before what they tell of is read: so what is sent has what
// each of them told of.
func (s *Service) sweepDay(ctx context.Context, st *stream, day uint32, told map[[32]byte]bool, out resealv1connect.MailboxServiceEventsServerStream) error {
	p, prefix := records.DayPartition(st.caller.Account, day), records.QueueOf(st.caller.Device)
	var waiting []store.Key
	there := map[string]struct{}{}
	for rec, err := range store.Scan(ctx, s.Store, p, prefix, store.PrefixEnd(prefix), false) {
		if err != nil {
			return err
		}
		name := string(entryName(day, rec.Key))
		if _, ok := st.sent[name]; ok {
			there[name] = struct{}{}
			continue
		}
		if sum := sha256.Sum256(rec.Value); told[sum] {
			if err := s.commit(ctx, p, new(store.Batch).DeleteOnce(rec.Key)); err != nil {
				return err
			}
			continue
		} else {
			told[sum] = true
		}
		waiting = append(waiting, rec.Key)
	}
	for name := range st.sent { // what was acknowledged meanwhile
		if _, ok := there[name]; !ok && name[:4] == string(entryName(day, "")) {
			delete(st.sent, name)
		}
	}
	for _, key := range waiting {
		ev, err := s.deliver(ctx, st.caller, day, key)
		if err != nil {
			return err
		}
		if ev == nil {
			continue
		}
		st.mark(ev.Entry)
		if err := out.Send(ev); err != nil {
			return err
		}
	}
	return nil
}
