package world

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/caller"
)

// ready are the things that can happen at the device now.
func (d *Device) ready() (all []func()) {
	if d.Engine == nil || d.stream == nil {
		return nil
	}
	d.stream.mu.Lock()
	defer d.stream.mu.Unlock()
	switch {
	case d.W.Deaf != nil && d.W.Deaf(d):
	case len(d.stream.in) > 0:
		all = append(all, d.take)
	case d.stream.ended:
		all = append(all, d.lost)
	case d.synced && len(d.Engine.Watched()) != d.watched:
		all = append(all, d.rewatch)
	}
	for _, c := range d.calls {
		if !c.parked {
			all = append(all, func() { d.do(c) })
		}
	}
	return all
}

func (d *Device) unpark() (some bool) {
	if d.redial {
		d.Connect()
		return true
	}
	for _, c := range d.calls {
		some, c.parked = some || c.parked, false
	}
	return some
}

// lost: the server ended the stream.
func (d *Device) lost() {
	if refusal.Reason(d.stream.end) == resealv1.Reason_REASON_SESSION_ENDED {
		d.sessionEnded()
		return
	}
	d.Disconnect()
	d.redial = true
}

func (d *Device) rewatch() {
	req := new(resealv1.WatchRequest)
	for _, id := range d.Engine.Watched() {
		req.Watch = append(req.Watch, id[:])
	}
	d.watched = len(req.Watch)
	_, _ = d.node().mailbox.Watch(caller.With(background, d.caller()), req)
}

// take takes the next event of the stream.
func (d *Device) take() {
	d.stream.mu.Lock()
	ev := d.stream.in[0]
	d.stream.in = d.stream.in[1:]
	d.stream.mu.Unlock()
	d.W.traceProto("event for "+d.Name, ev)
	evs := []*Event{ev}
	if d.W.Stream != nil {
		evs = d.W.Stream(d, ev)
	}
	for _, ev := range evs {
		if d.stream == nil {
			return
		}
		d.streamed(ev)
	}
}

func (d *Device) streamed(ev *Event) {
	switch ev.Event.(type) {
	case *resealv1.EventsResponse_CaughtUp, *resealv1.EventsResponse_Resync:
		d.sync()
	case *resealv1.EventsResponse_Sessions:
		err := d.node().auth.Live(background, d.caller())
		d.W.served(d)
		switch {
		case refusal.Passing(err):
			d.Disconnect()
			d.redial = true
		case err != nil:
			d.sessionEnded()
		}
	default:
		_ = d.Step(client.Streamed{Event: ev})
	}
}

// sync reads the own list and all pending days, in one go.
func (d *Device) sync() {
	st := d.stream
	resp, ok := d.ask(&resealv1.GetAccountsRequest{Accounts: []*resealv1.KnownAccount{{AccountId: d.Account.ID[:]}}})
	if !ok {
		return
	}
	_ = d.Step(client.Learned{Accounts: resp.(*resealv1.GetAccountsResponse).Accounts})
	if d.stream != st {
		return
	}
	from, through := d.Engine.SyncDays(d.Now())
	for day := from; day <= through; day++ {
		for next := []byte(nil); ; {
			resp, ok := d.ask(&resealv1.ReadDayRequest{Day: day, From: next})
			if !ok {
				return
			}
			page := resp.(*resealv1.ReadDayResponse)
			if len(page.Messages)+len(page.Ends)+len(page.Receipts) > 0 {
				_ = d.Step(client.DayRead{Day: day, Response: page})
			}
			if d.stream != st {
				return
			}
			if next = page.Next; len(next) == 0 {
				break
			}
		}
	}
	if d.Step(client.Synced{Through: through}) == nil {
		d.synced = true
	}
}

// ask makes a call of the driver's own; if it fails the connection is lost.
func (d *Device) ask(req proto.Message) (proto.Message, bool) {
	x := d.W.exchange(d, req)
	if x.Err != nil {
		if refusal.Reason(x.Err) == resealv1.Reason_REASON_SESSION_ENDED {
			d.sessionEnded()
			return nil, false
		}
		d.Disconnect()
		d.redial = true
		return nil, false
	}
	return x.Response, true
}

// do does what the engine wants done, once.
func (d *Device) do(c *call) {
	var ev client.Event
	switch f := c.effect.(type) {
	case client.Upload:
		d.W.blobs.put(f.Blob, d.Files[f.File], f.Capability.Hash())
		ev = client.Uploaded{ID: f.Content}
	case client.Call:
		x := d.W.exchange(d, f.Request)
		if x.Err != nil && refusal.Passing(x.Err) {
			c.parked = true
			return
		}
		a := client.Answered{Call: f, Response: x.Response}
		if x.Err != nil {
			detail := refusal.Detail(x.Err)
			if detail.GetReason() == resealv1.Reason_REASON_SESSION_ENDED {
				d.sessionEnded()
				return
			}
			a.Response, a.Refusal = nil, &client.Refusal{Reason: detail.GetReason(), Detail: detail}
		}
		ev = a
	}
	d.calls = slices.DeleteFunc(d.calls, func(o *call) bool { return o == c })
	delete(d.flight, c.key)
	_ = d.Step(ev)
}

// Unpark makes what failed in passing ready again, and reports whether there was
// anything.
func (w *World) Unpark() bool { return w.unpark() }
