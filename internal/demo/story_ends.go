package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

// staleSend makes a device list change between sealing and sending: the send is
// held back on the wire while the recipient logs in on another device.
func (s *story) staleSend(ctx context.Context) {
	s.n.chapter("A new device in the very moment of sending", "The network stalls when the message is sealed, for all devices that Cleo has, and not yet sent.")
	var h *held
	defer func() { h.let() }()
	s.step(ctx, "stale.hold", "Ana sends "+s.photo.what()+" to Cleo, and the network stalls", func(ctx context.Context, r *result) error {
		h = s.sendHeld(ctx, s.anas, s.photo, s.cleo)
		return h.wait(ctx)
	})
	var tablet *device
	s.step(ctx, "stale.login", "Meanwhile Cleo logs in on a tablet: her device list changes", func(ctx context.Context, r *result) error {
		m, err := s.machine("Cleo tablet")
		if err != nil {
			return err
		}
		d, how, err := s.logIn(ctx, m, s.cleo)
		if err != nil {
			return err
		}
		if tablet = d; !how.NewDevice {
			return errors.New("the tablet is no new device")
		}
		return d.Online(ctx)
	})
	s.step(ctx, "stale.caught", "The network is back: Ana's phone is told of the tablet, and adds its key", func(ctx context.Context, r *result) error {
		lie, err := blobs(s.data)
		if err != nil {
			return err
		}
		before, stale := len(lie), s.anas.Counters().Stale
		h.let()
		if h.err != nil {
			return h.err
		}
		if got := h.parcels[0].sent; got.Rewrapped < 1 {
			return errors.New("the change was not caught on the sender's side")
		}
		if n := s.anas.Counters().Stale - stale; n < 1 {
			return fmt.Errorf("%d stale sends", n)
		}
		if lie, err = blobs(s.data); err != nil || len(lie) != before {
			return fmt.Errorf("%d ciphertexts lie at the server, %d before: %w", len(lie), before, err)
		}
		r.say("no second upload")
		if _, err := s.readAll(ctx, tablet, h.parcels); err != nil {
			return err
		}
		return s.cleos.await(ctx, h.parcels[0], client.IsViewed)
	})
}

// held is a send that the wire holds back.
type held struct {
	wire    *hold
	done    chan struct{} // closed when the send has ended
	once    sync.Once
	parcels []*parcel
	err     error
}

// sendHeld begins to send, and has the wire hold the message back.
func (s *story) sendHeld(ctx context.Context, from *device, c *content, to person) *held {
	// The send outlives the step that it begins in.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limit)
	h := &held{wire: s.wire.holdNextSend(), done: make(chan struct{})}
	go func() {
		defer cancel()
		h.parcels, h.err = s.send(ctx, from, c, outgoing{}, to)
		close(h.done)
	}()
	return h
}

// wait waits until the message is on the wire.
func (h *held) wait(ctx context.Context) error {
	select {
	case <-h.wire.caught:
		return nil
	case <-h.done:
		return errors.Join(errors.New("the message was not held back"), h.err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// let lets the message go and waits for the end of the send. It may be called
// again, and without a send.
func (h *held) let() {
	if h != nil {
		h.once.Do(func() { close(h.wire.release) })
		<-h.done
	}
}

func (s *story) ends(ctx context.Context) {
	s.n.chapter("Taken back, and run out", "A message ends when its sender takes it back, and when its time is over.")
	s.step(ctx, "unsend", "Ana sends Cleo "+s.photo.what()+" and takes it back unseen", s.unsend)
	var short, long *parcel
	s.step(ctx, "expiry.send", "Ana sends a text that is good for 24 hours, and one for 30 days", func(ctx context.Context, r *result) error {
		sent, err := s.send(ctx, s.anas, text("Breakfast is ready, come down!"), outgoing{expires: 24 * time.Hour, promise: promiseExpired}, s.cleo)
		if err != nil {
			return err
		}
		short = sent[0]
		if sent, err = s.send(ctx, s.anas, text("We go again next Saturday."), outgoing{}, s.cleo); err != nil {
			return err
		}
		long = sent[0]
		for _, p := range []*parcel{short, long} {
			if _, err := s.readable(ctx, s.cleos, p); err != nil {
				return err
			}
		}
		return nil
	})
	s.step(ctx, "server.kill", "The server is killed (kill -9) and comes back; all clocks are 25 hours ahead", func(ctx context.Context, r *result) error {
		s.server.Kill()
		s.ahead.Store(int64(tomorrow))
		if err := s.serve(ctx, tomorrow); err != nil {
			return err
		}
		r.say("process %d", s.server.PID())
		for _, d := range []*device{s.anas, s.cleos} {
			if err := s.reconnected(ctx, d); err != nil {
				return err
			}
		}
		return nil
	})
	s.step(ctx, "expiry", "The first text has expired: it opens nowhere", func(ctx context.Context, r *result) error {
		if err := s.cleos.refused(ctx, short, client.Expired); err != nil {
			return err
		}
		if err := s.anas.await(ctx, short, client.Expired); err != nil {
			return err
		}
		short.kept = true
		return nil
	})
	s.step(ctx, "survived", "The other text opens, and what Cleo keeps: the kill lost nothing", func(ctx context.Context, r *result) error {
		if err := s.read(ctx, s.cleos, long); err != nil {
			return err
		}
		return s.read(ctx, s.cleos, s.keptBy[s.cleo.handle])
	})
}

// tomorrow is how far the clocks are moved.
const tomorrow = 25 * time.Hour

func (s *story) unsend(ctx context.Context, r *result) error {
	lie, err := blobs(s.data)
	if err != nil {
		return err
	}
	before := len(lie)
	sent, err := s.send(ctx, s.anas, s.photo, outgoing{promise: promiseUnsent}, s.cleo)
	if err != nil {
		return err
	}
	p := sent[0]
	if _, err := s.readable(ctx, s.cleos, p); err != nil {
		return err
	}
	if err := s.anas.Unsend(ctx, p.id); err != nil {
		return err
	}
	if err := s.cleos.refused(ctx, p, client.IsUnsent); err != nil {
		return err
	}
	p.kept = true
	return s.deleted(ctx, r, before)
}

// serve starts the server, or another one in its place, over the same folder.
func (s *story) serve(ctx context.Context, offset time.Duration) (err error) {
	if s.server, err = startServer(ctx, s.o.Server, s.data, s.data+".log", offset); err != nil {
		return err
	}
	s.wire.connect(address(s.server))
	return nil
}

// reconnected waits until a device is connected to the new server.
func (s *story) reconnected(ctx context.Context, d *device) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := d.Online(ctx)
		if err == nil && d.Connected() {
			return nil
		}
		if err != nil && !errors.Is(err, reseal.ErrOffline) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s does not come back: %w", d.Handle(), reseal.ErrOffline)
		}
	}
}

// deleted waits until the server has as few blobs as before.
func (s *story) deleted(ctx context.Context, r *result, before int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		lie, err := blobs(s.data)
		if err != nil {
			return err
		}
		if len(lie) <= before {
			r.say("%d ciphertexts there, as before", len(lie))
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d ciphertexts lie at the server, %d before", len(lie), before)
		}
	}
}

// devices waits until one person's device knows how many devices another has.
func (s *story) devices(ctx context.Context, d *device, of person, want int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c, err := d.Contact(ctx, of.handle)
		if err != nil || c.Devices == want {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s sees %d devices of %s, not %d", d.Handle(), c.Devices, of.name, want)
		}
	}
}
