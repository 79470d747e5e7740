package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/message"
)

// passphrase is the password of every account that can log in.
const passphrase = "seven otters juggle lanterns"

// lifetime is how long messages of engines may wait.
const lifetime = time.Hour

// phone is an installation that is closed once: by whoever switches it off, or at
// the end of the figure.
type phone struct {
	*reseal.Installation
	off func() error
}

// phone opens an installation in a folder of its own.
func (s *stage) phone(h *host, name string) (*phone, error) {
	in, err := reseal.Open(filepath.Join(s.dir, name), reseal.Options{Server: h.url, HTTP: h.http})
	if err != nil {
		return nil, err
	}
	p := &phone{in, sync.OnceValue(in.Close)}
	s.own = append(s.own, p)
	s.stops = append(s.stops, p.off)
	return p, nil
}

// people signs up n accounts, each on a phone of its own, and waits until they
// are online. Their handles are the names.
func (s *stage) people(ctx context.Context, h *host, n int) (all []*reseal.Account, err error) {
	begin := prefix()
	for i := range n { // one after the other: Argon2id takes 64 MiB
		name := fmt.Sprint(begin, i)
		in, err := s.phone(h, name)
		if err != nil {
			return nil, err
		}
		a, _, err := in.SignUp(ctx, name, []byte(passphrase))
		if err == nil {
			err = a.Online(ctx)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// phones are engines in pairs that know each other.
func (s *stage) phones(ctx context.Context, h *host) (*load, error) {
	people, err := s.people(ctx, h, s.engines)
	if err != nil {
		return nil, err
	}
	l := &load{senders: s.engines}
	text := strings.Repeat("0123456789abcdef", s.payload/16)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stops = append(s.stops, func() error { stop(); return nil })
	for _, a := range people {
		events := a.Events(running)
		go func() {
			for e := range events {
				switch e.Kind {
				case reseal.KindMessage, reseal.KindReady:
					if e.Ready {
						l.arrived(e.ID)
					}
				}
			}
		}()
	}
	l.send = func(ctx context.Context, sender int, posted func(message.ID)) error {
		sent, err := people[sender].Send(ctx, reseal.Outgoing{
			To: []string{people[sender^1].Handle()}, Text: text, Policy: reseal.Keep, Expires: lifetime,
		})
		if err == nil && (len(sent) != 1 || sent[0].Err != nil || sent[0].Message == reseal.MessageID{}) {
			err = errors.New("the server did not take a message")
			if len(sent) == 1 && sent[0].Err != nil {
				err = sent[0].Err
			}
		}
		if err == nil {
			posted(sent[0].Message)
		}
		return err
	}
	// Who answers has accepted: from here on none is a stranger to another.
	first := l.send
	for i := range people {
		done := make(chan struct{}, 1)
		if err := first(ctx, i, func(id message.ID) { l.posted(id, letter{done: done}) }); err != nil {
			return nil, err
		}
	}
	return l, l.empty(ctx)
}
