package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/bench/histogram"
	"github.com/reseal/reseal/internal/bench/presealed"
)

var (
	loginTime = Meaning{"time", "ms", "from the password to everything that waits (nothing) having come, Argon2id at the client included", false}
	loginCost = Meaning{"server_cpu", "ms", "processor time of the server for one login, everything included: two connections before the account's own, OPAQUE, " +
		"the share handed out and replaced, the session bound, the pending days read", true}
	fanTime  = Meaning{"fanout", "ms", "from publishing the list with the new device to each contact's being told", false}
	joinCost = Meaning{"join_cpu", "ms", "processor time of the server for publishing one list and telling all contacts", true}
)

// login measures one account that logs in and out on one phone.
func login(ctx context.Context, s *stage) error {
	h, err := s.host(ctx)
	if err != nil {
		return err
	}
	people, err := s.people(ctx, h, 1)
	if err != nil {
		return err
	}
	a := people[0]
	in := s.own[0]
	var times histogram.Histogram
	var cost time.Duration
	began := h.usage()
	for range s.logins {
		if _, err := a.LogOut(ctx, reseal.LogOutOptions{}); err != nil {
			return err
		}
		from := h.usage()
		if a, _, err = in.LogIn(ctx, people[0].Handle(), []byte(passphrase)); err == nil {
			err = a.Online(ctx)
		}
		if err != nil {
			return err
		}
		p := h.usage().since(from)
		times.Record(p.long)
		cost += p.server
	}
	p := h.usage().since(began)
	each := Value{Value: float64(cost) / float64(s.logins) / float64(time.Millisecond), Seconds: p.long.Seconds()}
	return errors.Join(s.tell(loginTime, p.around(latency(&times))), s.tell(loginCost, each))
}

// fanout measures devices that join an account while its contacts watch.
func fanout(ctx context.Context, s *stage) error {
	h, err := s.host(ctx)
	if err != nil {
		return err
	}
	contacts, err := s.accounts(ctx, h, s.contacts)
	if err != nil {
		return err
	}
	desk, err := s.online(ctx, h)
	if err != nil {
		return err
	}
	var times histogram.Histogram
	var sum span
	joins := 0
	for n := 0; joins < s.joins; n++ {
		d, err := desk.SignUp(ctx, fmt.Sprint(prefix(), n), []byte(passphrase))
		if err != nil {
			return err
		}
		told := make(chan presealed.Arrival, len(contacts)*identity.MaxDevices)
		watching, err := s.watch(ctx, contacts, d.Account.ID, told)
		if err != nil {
			return err
		}
		for ; joins < s.joins && len(d.Devices) < identity.MaxDevices; joins++ {
			p, err := s.join(ctx, h, d.Account, told, &times)
			if err != nil {
				return errors.Join(err, closeAll(watching))
			}
			sum.long, sum.server, sum.client = sum.long+p.long, sum.server+p.server, sum.client+p.client
		}
		if err := closeAll(watching); err != nil {
			return err
		}
	}
	each := Value{Value: float64(sum.server) / float64(joins) / float64(time.Millisecond)}
	return errors.Join(s.tell(fanTime, sum.around(latency(&times))), s.tell(joinCost, sum.around(each)))
}

// watch brings contacts online who are told of an account's changes.
func (s *stage) watch(ctx context.Context, contacts []*presealed.Device, whom identity.AccountID, told chan<- presealed.Arrival) ([]*presealed.Client, error) {
	all := make([]*presealed.Client, len(contacts))
	err := parallel(len(contacts), func(i int) (err error) {
		all[i], err = contacts[i].Connect(ctx, func(a presealed.Arrival) {
			if a.Account == whom {
				told <- a
			}
		}, whom)
		return err
	})
	if err != nil {
		err = errors.Join(err, closeAll(all))
	}
	return all, err
}

// join lets one device join, and waits until every contact knows.
func (s *stage) join(ctx context.Context, h *host, a *presealed.Account, told <-chan presealed.Arrival, times *histogram.Histogram) (span, error) {
	j, err := a.LogIn(ctx)
	if err != nil {
		return span{}, err
	}
	from := h.usage()
	joined := make(chan error, 1)
	go func() {
		_, err := j.Join(ctx)
		joined <- err
	}()
	for know := 0; know < s.contacts; {
		select {
		case t := <-told:
			if t.Version == j.Version() {
				know++
				times.Record(time.Since(from.at))
			}
		case <-time.After(patience):
			return span{}, fmt.Errorf("%d of %d contacts were told", know, s.contacts)
		case <-ctx.Done():
			return span{}, context.Cause(ctx)
		}
	}
	err = <-joined
	return h.usage().since(from), err
}
