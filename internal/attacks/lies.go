package attacks

import (
	"bytes"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// aboutKeys lies wherever keys of an account are served to a device: looked up,
// asked for, streamed, with a stale send and with a retry request. Nil for d
// means every device.
func aboutKeys(d *world.Device, of *world.Account, f func(k *resealv1.AccountKeys)) lie {
	each := func(to *world.Device, all ...*resealv1.AccountKeys) (lied bool) {
		for _, k := range all {
			if k != nil && (d == nil || to == d) && bytes.Equal(k.AccountId, of.ID[:]) {
				f(k)
				lied = true
			}
		}
		return lied
	}
	return lie{
		answer: func(x *world.Exchange) bool {
			switch r := x.Response.(type) {
			case *resealv1.LookupResponse:
				return each(x.Device, r.Account)
			case *resealv1.GetAccountsResponse:
				return each(x.Device, r.Accounts...)
			case *resealv1.SendResponse:
				return each(x.Device, r.Stale...)
			case *resealv1.AddWrapsResponse:
				return each(x.Device, r.Stale...)
			}
			return false
		},
		stream: func(to *world.Device, ev *world.Event) ([]*world.Event, bool) {
			lied := each(to, ev.GetAccount(), ev.GetRetry().GetRequester())
			return []*world.Event{ev}, lied
		},
	}
}

// aboutMessages lies wherever a message is served to a device. f gives what is
// served in its place.
func aboutMessages(d *world.Device, f func(p *resealv1.Pending) []*resealv1.Pending) lie {
	return lie{
		answer: func(x *world.Exchange) (lied bool) {
			r, ok := x.Response.(*resealv1.ReadDayResponse)
			if !ok || x.Device != d {
				return false
			}
			var all []*resealv1.Pending
			for _, p := range r.Messages {
				all = append(all, f(p)...)
				lied = true
			}
			r.Messages = all
			return lied
		},
		stream: func(to *world.Device, ev *world.Event) (all []*world.Event, lied bool) {
			p := ev.GetMessage()
			if p == nil || to != d {
				return []*world.Event{ev}, false
			}
			for _, p := range f(p) {
				all = append(all, &world.Event{Entry: ev.Entry, Event: &resealv1.EventsResponse_Message{Message: p}})
			}
			return all, true
		},
	}
}

// altering is aboutMessages with f changing each.
func altering(d *world.Device, f func(p *resealv1.Pending)) lie {
	return aboutMessages(d, func(p *resealv1.Pending) []*resealv1.Pending {
		f(p)
		return []*resealv1.Pending{p}
	})
}

// aboutWraps lies about every wrap that is served to a device, with its message
// or after it.
func aboutWraps(d *world.Device, f func(wraps [][]byte) [][]byte) lie {
	l := altering(d, func(p *resealv1.Pending) { p.Wraps = f(p.Wraps) })
	stream := l.stream
	l.stream = func(to *world.Device, ev *world.Event) ([]*world.Event, bool) {
		if n := ev.GetWraps(); n != nil && to == d {
			n.Wraps = f(n.Wraps)
			return []*world.Event{ev}, true
		}
		return stream(to, ev)
	}
	return l
}

// aboutReceipts lies about the receipts that a device is told of.
func aboutReceipts(d *world.Device, f func(b []byte) [][]byte) lie {
	return lie{
		answer: func(x *world.Exchange) (lied bool) {
			r, ok := x.Response.(*resealv1.ReadDayResponse)
			if !ok || x.Device != d {
				return false
			}
			var all [][]byte
			for _, b := range r.Receipts {
				all = append(all, f(b)...)
				lied = true
			}
			r.Receipts = all
			return lied
		},
		stream: func(to *world.Device, ev *world.Event) (all []*world.Event, lied bool) {
			b := ev.GetReceipt()
			if b == nil || to != d {
				return []*world.Event{ev}, false
			}
			for _, b := range f(b) {
				all = append(all, &world.Event{Entry: ev.Entry, Event: &resealv1.EventsResponse_Receipt{Receipt: b}})
			}
			return all, true
		},
	}
}

// withholding keeps events from a device; which says whether one is kept.
func withholding(d *world.Device, which func(ev *world.Event) bool) lie {
	return lie{stream: func(to *world.Device, ev *world.Event) ([]*world.Event, bool) {
		if to == d && which(ev) {
			return nil, true
		}
		return []*world.Event{ev}, false
	}}
}

// also joins two lies; the first that speaks counts.
func (l lie) also(o lie) lie {
	j := l
	if o.call != nil {
		j.call = o.call
	}
	if l.answer != nil && o.answer != nil {
		j.answer = func(x *world.Exchange) bool {
			one, two := l.answer(x), o.answer(x)
			return one || two
		}
	} else if o.answer != nil {
		j.answer = o.answer
	}
	if l.stream != nil && o.stream != nil {
		j.stream = func(d *world.Device, ev *world.Event) (all []*world.Event, lied bool) {
			first, lied := l.stream(d, ev)
			for _, ev := range first {
				then, more := o.stream(d, ev)
				all, lied = append(all, then...), lied || more
			}
			return all, lied
		}
	} else if o.stream != nil {
		j.stream = o.stream
	}
	return j
}

// flipped is b with one bit changed; b stays.
func flipped(b []byte, at int) []byte {
	c := bytes.Clone(b)
	if len(c) > 0 {
		c[(at+len(c))%len(c)] ^= 1
	}
	return c
}

// each applies f to every one.
func each(f func(b []byte) []byte) func(all [][]byte) [][]byte {
	return func(all [][]byte) [][]byte {
		out := make([][]byte, len(all))
		for i, b := range all {
			out[i] = f(b)
		}
		return out
	}
}

// inject gives a device an event that is not in its stream.
func (s *stage) inject(d *world.Device, ev *world.Event) {
	s.t.Helper()
	s.told++
	s.step(d, ev)
}

func (s *stage) ended(d *world.Device, e message.EndRecord) {
	s.t.Helper()
	s.inject(d, &world.Event{Event: &resealv1.EventsResponse_End{End: e.Encode()}})
}

func (s *stage) receipt(d *world.Device, b []byte) {
	s.t.Helper()
	s.inject(d, &world.Event{Event: &resealv1.EventsResponse_Receipt{Receipt: b}})
}

func (s *stage) asked(d *world.Device, request []byte, k *resealv1.AccountKeys, ids ...message.ID) {
	s.t.Helper()
	r := &resealv1.RetryRequested{Request: request, Requester: k}
	for _, id := range ids {
		r.MessageIds = append(r.MessageIds, id[:])
	}
	s.inject(d, &world.Event{Event: &resealv1.EventsResponse_Retry{Retry: r}})
}

// keysOf is what an honest server serves of an account.
func keysOf(a *world.Account, l *identity.SignedList) *resealv1.AccountKeys {
	k := &resealv1.AccountKeys{AccountId: a.ID[:], List: l.Bytes(), Handle: a.Handle}
	for _, d := range a.Devices {
		k.Certificates = append(k.Certificates, d.First.Certificate.Bytes())
	}
	return k
}
