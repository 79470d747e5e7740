package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/bench/histogram"
)

var (
	readable = Meaning{"readable", "ms", "from the moment when the new device is in the account's list and its login is done, to the message being ready on it", false}
	fromPass = Meaning{"whole", "ms", "the same from the password on, Argon2id and the new device's keys included", false}
)

// newDevice measures logins on new phones for which a message waits, while a
// holder of its key is online.
func newDevice(ctx context.Context, s *stage) error {
	h, err := s.host(ctx)
	if err != nil {
		return err
	}
	people, err := s.people(ctx, h, 1+(s.newDevices+newPhones-1)/newPhones)
	if err != nil {
		return err
	}
	sender, owners := people[0], people[1:]
	var short, whole histogram.Histogram
	n := 0
	from := h.usage()
	for _, owner := range owners {
		sent, err := sender.Send(ctx, reseal.Outgoing{To: []string{owner.Handle()}, Text: "for every phone", Policy: reseal.Keep, Expires: lifetime})
		if err != nil {
			return err
		}
		for range min(newPhones, s.newDevices-n) {
			n++
			if err := s.newPhone(ctx, h, owner.Handle(), fmt.Sprint("new", n), sent[0].Message, &short, &whole); err != nil {
				return err
			}
		}
	}
	p := h.usage().since(from)
	return errors.Join(s.tell(readable, p.around(latency(&short))), s.tell(fromPass, p.around(latency(&whole))))
}

// newPhones is how many new phones an account may have beside its first.
const newPhones = identity.MaxDevices - 1

// newPhone logs in on a new phone, and waits until the message is ready there. It
// is switched off then: only the sender and the first phone stay to answer.
func (s *stage) newPhone(ctx context.Context, h *host, handle, name string, id reseal.MessageID, short, whole *histogram.Histogram) error {
	in, err := s.phone(h, name)
	if err != nil {
		return err
	}
	from := h.usage()
	a, how, err := in.LogIn(ctx, handle, []byte(passphrase))
	if err != nil {
		return err
	}
	if !how.NewDevice {
		return errors.New("the phone is no new device")
	}
	done := h.usage()
	waiting, stop := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the message does not become ready within %v", patience))
	defer stop()
	for e := range a.Events(waiting) {
		if e.ID == id && e.Ready && (e.Kind == reseal.KindMessage || e.Kind == reseal.KindReady) {
			ready := h.usage()
			short.Record(ready.since(done).long)
			whole.Record(ready.since(from).long)
			return in.off()
		}
	}
	return context.Cause(waiting)
}
