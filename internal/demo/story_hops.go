package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

func (s *story) samePhone(ctx context.Context) {
	s.n.chapter("Logged out, and back on the same phone", "Ben lends the family phone to others. What is sent meanwhile waits for the phone that he comes back to.")
	was := s.bens.Device()
	s.step(ctx, "logout", "Ben logs out on the family phone; Cleo stays", func(ctx context.Context, r *result) error {
		if err := s.bens.logOut(ctx); err != nil {
			return err
		}
		in, err := s.family.in.LoggedIn()
		if err == nil && (len(in) != 1 || in[0].Handle != s.cleo.handle) {
			err = fmt.Errorf("%d accounts are logged in on the family phone", len(in))
		}
		return err
	})
	s.step(ctx, "phone.search", "The phone's files, in the hands of a thief", func(_ context.Context, r *result) error {
		// The local share lies there by design, and opens nothing without the
		// server's; Cleo's session is live.
		found, err := newSearch(s.wanted("local share", "session secret")).inFolders(s.family.dir)
		if err != nil {
			return err
		}
		r.say("%d files, none of his secrets in them", found.files)
		return found.err()
	})
	var parcels []*parcel
	s.step(ctx, "meanwhile", "Ana sends three messages, one with "+s.photo.what(), func(ctx context.Context, r *result) error {
		for _, c := range []*content{text("The boat is booked for nine o'clock."), s.photo, text("Bring the thermos, please!")} {
			sent, err := s.send(ctx, s.anas, c, outgoing{}, s.ben)
			if err != nil {
				return err
			}
			parcels = append(parcels, sent...)
		}
		return nil
	})
	s.step(ctx, "login.same", "Ben logs in again and reads all three", func(ctx context.Context, r *result) (err error) {
		var how reseal.Login
		if s.bens, how, err = s.logIn(ctx, s.family, s.ben); err != nil {
			return err
		}
		if how.NewDevice || s.bens.Device() != was {
			return errors.New("the phone became another device")
		}
		longest, err := s.readAll(ctx, s.bens, parcels)
		if err != nil {
			return err
		}
		if n := s.bens.Counters().Retries; n != 0 {
			return fmt.Errorf("%d retries were needed", n)
		}
		r.say("same device, no retry, readable %s after login", span(longest))
		r.set("retries", 0)
		return nil
	})
}

// readAll waits for messages and reads them; it returns the longest wait.
func (s *story) readAll(ctx context.Context, d *device, parcels []*parcel, since ...time.Time) (longest time.Duration, err error) {
	for _, p := range parcels {
		wait, err := s.readable(ctx, d, p, since...)
		if err != nil {
			return 0, err
		}
		longest = max(longest, wait)
	}
	for _, p := range parcels {
		if err := s.read(ctx, d, p); err != nil {
			return 0, err
		}
	}
	return longest, nil
}

func (s *story) ownTablet(ctx context.Context) {
	s.n.chapter("A new phone, and the sender is away", "Ben's new phone has none of the keys of what waits. His own tablet has them, and gives them on.")
	var parcels []*parcel
	s.step(ctx, "hop.send", "Ben logs out on the family phone; Ana sends two messages and goes offline", func(ctx context.Context, r *result) error {
		if err := s.bens.logOut(ctx); err != nil {
			return err
		}
		for _, c := range []*content{text("I have no signal from here on."), s.photo} {
			sent, err := s.send(ctx, s.anas, c, outgoing{}, s.ben)
			if err != nil {
				return err
			}
			parcels = append(parcels, sent...)
		}
		for _, p := range parcels {
			if err := s.bensTablet.await(ctx, p, client.IsReady); err != nil {
				return err
			}
		}
		return s.anaPhone.off()
	})
	s.step(ctx, "hop.login", "Ben logs in on a new phone and reads both", func(ctx context.Context, r *result) error {
		m, err := s.machine("Ben new phone")
		if err != nil {
			return err
		}
		d, how, err := s.logIn(ctx, m, s.ben)
		if err != nil {
			return err
		}
		if s.bens = d; !how.NewDevice {
			return errors.New("the new phone is no new device")
		}
		longest, err := s.readAll(ctx, d, append(parcels, s.keptBy[s.ben.handle]))
		if err != nil {
			return err
		}
		n := d.Counters()
		if want := uint64(len(parcels) + 1); n.Retries != want || n.ByOwn != want || n.BySender+n.BySenderOther != 0 {
			return fmt.Errorf("%d retries, %d answered by his tablet, %d by others", n.Retries, n.ByOwn, n.BySender+n.BySenderOther)
		}
		r.say("answered by his tablet, readable %s after login", span(longest))
		r.set("answered_by", "own device")
		return nil
	})
	s.step(ctx, "hop.back", "Ana comes back, types no password, and sees that both were viewed", func(ctx context.Context, r *result) error {
		if err := s.wakeAna(ctx); err != nil {
			return err
		}
		for _, p := range parcels {
			if err := s.anas.await(ctx, p, client.IsViewed); err != nil {
				return err
			}
		}
		return nil
	})
}

// wakeAna switches Ana's phone on again.
func (s *story) wakeAna(ctx context.Context) error {
	all, err := s.anaPhone.on(ctx)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("%d accounts came back on Ana's phone", len(all))
	}
	s.anas = all[0]
	return nil
}

func (s *story) nobodyThere(ctx context.Context) {
	s.n.chapter("A new phone, and nobody is there", "Cleo has no second device, and Ana is offline. The message waits until Ana comes back; nothing is lost.")
	var parcels []*parcel
	s.step(ctx, "alone.send", "Cleo logs out on the family phone; Ana sends her "+s.photo.what()+" and goes offline", func(ctx context.Context, r *result) (err error) {
		if err := s.cleos.logOut(ctx); err != nil {
			return err
		}
		if parcels, err = s.send(ctx, s.anas, s.photo, outgoing{}, s.cleo); err != nil {
			return err
		}
		return s.anaPhone.off()
	})
	s.step(ctx, "alone.login", "Cleo logs in on a new phone: the message is there, and waits for its key", func(ctx context.Context, r *result) error {
		m, err := s.machine("Cleo new phone")
		if err != nil {
			return err
		}
		d, how, err := s.logIn(ctx, m, s.cleo)
		if err != nil {
			return err
		}
		if s.cleos = d; !how.NewDevice {
			return errors.New("the new phone is no new device")
		}
		if err := d.await(ctx, parcels[0], client.Waiting); err != nil {
			return err
		}
		if err := d.Online(ctx); err != nil {
			return err
		}
		if err := d.Open(ctx, parcels[0].id, func(reseal.Content) error { return errors.New("it was shown") }, nil); !errors.Is(err, reseal.ErrWaiting) {
			return fmt.Errorf("opening it gave %v, not that it waits", err)
		}
		return nil
	})
	s.step(ctx, "alone.answer", "Ana comes back, and Cleo reads it", func(ctx context.Context, r *result) error {
		back := time.Now()
		if err := s.wakeAna(ctx); err != nil {
			return err
		}
		wait, err := s.readAll(ctx, s.cleos, parcels, back)
		if err != nil {
			return err
		}
		// The photo of the second chapter, which is kept, was asked for, too.
		if _, err := s.readable(ctx, s.cleos, s.keptBy[s.cleo.handle], back); err != nil {
			return err
		}
		if n := s.cleos.Counters(); n.BySender != n.Retries || n.BySender < 1 {
			return fmt.Errorf("%d retries, %d answered by the sender", n.Retries, n.BySender)
		}
		r.say("answered by the sender, readable %s after she came", span(wait))
		r.set("answered_by", "sender")
		return nil
	})
	s.step(ctx, "alone.kept", "What Cleo keeps from before opens on the new phone, too", func(ctx context.Context, r *result) error {
		return s.read(ctx, s.cleos, s.keptBy[s.cleo.handle])
	})
}
