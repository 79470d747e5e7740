package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/terminal"
)

// tell tells all chapters in which something happens.
func (s *story) tell(ctx context.Context) {
	skip := false
	for i, chapter := range []func(context.Context){
		s.begin, s.contents, s.once, s.samePhone, s.ownTablet, s.nobodyThere, s.staleSend, s.ends, s.evidence,
	} {
		// What the server has is looked at even if the story broke off.
		if ((s.broken || skip) && i != lastChapter) || ctx.Err() != nil {
			continue
		}
		chapter(ctx)
		skip = s.o.between != nil && !s.o.between(s, i+1)
	}
}

// lastChapter is the index of the one about what the server saw.
const lastChapter = 8

func (s *story) begin(ctx context.Context) {
	s.n.chapter("A server, and three people", "Everything runs on this machine: a server process, and a folder for each phone and tablet.")
	s.step(ctx, "server.start", "The server starts, with a store in a folder", func(ctx context.Context, r *result) error {
		if err := s.serve(ctx, 0); err != nil {
			return err
		}
		r.say("process %d at %s", s.server.PID(), address(s.server))
		r.set("pid", s.server.PID())
		r.set("address", address(s.server))
		return nil
	})
	s.step(ctx, "ana.signup", "Ana signs up on her phone", func(ctx context.Context, r *result) (err error) {
		if s.anaPhone, err = s.machine("Ana phone"); err != nil {
			return err
		}
		s.anas, err = s.signUp(ctx, s.anaPhone, s.ana)
		return err
	})
	s.step(ctx, "ben.signup", "Ben signs up on the family phone", func(ctx context.Context, r *result) (err error) {
		if s.family, err = s.machine("family phone"); err != nil {
			return err
		}
		s.bens, err = s.signUp(ctx, s.family, s.ben)
		return err
	})
	s.step(ctx, "cleo.signup", "Cleo signs up on the same phone, beside Ben", func(ctx context.Context, r *result) (err error) {
		if s.cleos, err = s.signUp(ctx, s.family, s.cleo); err != nil {
			return err
		}
		in, err := s.family.in.LoggedIn()
		if err != nil {
			return err
		}
		if len(in) != 2 || s.bens.Device() == s.cleos.Device() {
			return fmt.Errorf("%d accounts are logged in on the family phone", len(in))
		}
		r.say("one folder, two accounts, two devices")
		return nil
	})
	s.step(ctx, "safety.number", "Ana and Ben compare their safety number", s.safetyNumber)
}

func (s *story) safetyNumber(ctx context.Context, r *result) error {
	of, err := s.anas.Contact(ctx, s.ben.handle)
	if err != nil {
		return err
	}
	same, err := s.bens.Verify(ctx, s.ana.handle, of.SafetyNumber)
	if err != nil || !same {
		return errors.Join(errors.New("another number on Ben's side"), err)
	}
	with, err := s.bens.Contact(ctx, s.ana.handle)
	if err != nil {
		return err
	}
	if same, err = s.anas.Verify(ctx, s.ben.handle, with.SafetyNumber); err != nil || !same {
		return errors.Join(errors.New("another number on Ana's side"), err)
	}
	groups := strings.Fields(of.SafetyNumber)
	r.say("%s … %s on both sides", strings.Join(groups[:2], " "), groups[len(groups)-1])
	return nil
}

func (s *story) contents(ctx context.Context) {
	s.n.chapter("A text, a photo, a film", "Sealed on the sender's device, opened on the recipient's. Each file that comes is compared byte for byte.")
	words := text("Good morning, you two! Are we still on for the lake?")
	s.step(ctx, "text.send", "Ana sends a text to Ben and Cleo, and both read it", func(ctx context.Context, r *result) error {
		parcels, err := s.send(ctx, s.anas, words, outgoing{}, s.ben, s.cleo)
		if err != nil {
			return err
		}
		for i, d := range []*device{s.bens, s.cleos} {
			wait, err := s.readable(ctx, d, parcels[i])
			if err != nil {
				return err
			}
			r.say("%s after %s", d.Handle(), span(wait))
			if err := s.read(ctx, d, parcels[i]); err != nil {
				return err
			}
		}
		return nil
	})
	s.step(ctx, "photo.send", "Ana sends "+s.photo.what()+" to both, to keep", func(ctx context.Context, r *result) error {
		parcels, err := s.send(ctx, s.anas, s.photo, outgoing{keep: true}, s.ben, s.cleo)
		if err != nil {
			return err
		}
		lie, err := blobs(s.data)
		if err != nil {
			return err
		}
		if len(lie) > 1 || (len(lie) == 0 && s.photo.size > inline) {
			return fmt.Errorf("%d uploads for two recipients", len(lie))
		}
		r.say("%s, one upload, two messages", terminal.Size(uint64(s.photo.size)))
		s.keptBy = map[string]*parcel{s.ben.handle: parcels[0], s.cleo.handle: parcels[1]}
		for i, d := range []*device{s.bens, s.cleos} {
			if _, err := s.readable(ctx, d, parcels[i]); err != nil {
				return err
			}
			for range 2 { // it is kept: it opens again
				if err := s.read(ctx, d, parcels[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for _, c := range s.films {
		s.step(ctx, "film.send", "Ben sends "+c.what()+" to Ana", func(ctx context.Context, r *result) error { return s.sendFilm(ctx, r, c) })
	}
	s.step(ctx, "glance", "All files of the server are searched", s.glance)
}

// inline is how long a ciphertext may be at most to travel in its message.
const inline = 16 << 10

func (s *story) sendFilm(ctx context.Context, r *result, c *content) error {
	began := time.Now()
	parcels, err := s.send(ctx, s.bens, c, outgoing{keep: true}, s.ana)
	if err != nil {
		return err
	}
	sent := time.Since(began)
	if _, err := s.readable(ctx, s.anas, parcels[0]); err != nil {
		return err
	}
	began = time.Now()
	if err := s.read(ctx, s.anas, parcels[0]); err != nil {
		return err
	}
	r.say("%s, %s to send, %s to open", terminal.Size(uint64(c.size)), span(sent), span(time.Since(began)))
	r.set("bytes", c.size)
	r.set("send_seconds", seconds(sent))
	return nil
}

func (s *story) once(ctx context.Context) {
	s.n.chapter("View once, gone everywhere", "Ben has a tablet, too. The first view of a snap ends it on both, at Ana's, and at the server.")
	s.step(ctx, "tablet.login", "Ben logs in on his tablet, a new device of his", func(ctx context.Context, r *result) (err error) {
		if s.tablet, err = s.machine("Ben tablet"); err != nil {
			return err
		}
		d, how, err := s.logIn(ctx, s.tablet, s.ben)
		if err != nil {
			return err
		}
		if s.bensTablet = d; !how.NewDevice || d.Device() == s.bens.Device() {
			return errors.New("the tablet is no new device")
		}
		if err := d.Online(ctx); err != nil {
			return err
		}
		return s.devices(ctx, s.anas, s.ben, 2)
	})
	var snap *parcel
	var before int
	s.step(ctx, "once.send", "Ana sends Ben a snap: "+s.photo.what(), func(ctx context.Context, r *result) error {
		lie, err := blobs(s.data)
		if err != nil {
			return err
		}
		before = len(lie)
		parcels, err := s.send(ctx, s.anas, s.photo, outgoing{}, s.ben)
		if err != nil {
			return err
		}
		snap = parcels[0]
		for _, d := range []*device{s.bens, s.bensTablet} {
			if _, err := s.readable(ctx, d, snap); err != nil {
				return err
			}
		}
		r.say("ready on phone and tablet, sealed for each")
		return nil
	})
	s.step(ctx, "once.view", "Ben looks at it, on the phone", func(ctx context.Context, r *result) error { return s.read(ctx, s.bens, snap) })
	s.step(ctx, "once.gone", "It is gone from phone and tablet, opens no more, and Ana sees that it was viewed", func(ctx context.Context, r *result) error {
		for _, d := range []*device{s.bens, s.bensTablet} {
			if err := d.refused(ctx, snap, client.IsViewed); err != nil {
				return err
			}
		}
		return s.anas.await(ctx, snap, client.IsViewed)
	})
	s.step(ctx, "once.deleted", "It is gone from the server's disk", func(ctx context.Context, r *result) error { return s.deleted(ctx, r, before) })
}
