package world

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
)

// Exchange is one call on its way.
type Exchange struct {
	Device   *Device
	Request  proto.Message
	Response proto.Message
	Err      error
}

// Fate is what the network does to a call.
type Fate uint8

// The fates.
const (
	Deliver    Fate = iota
	Drop            // it never arrives
	LoseAnswer      // it arrives, its answer does not
	Twice           // it arrives twice; the second answer counts
	Late            // it arrives at [World.DeliverLate]; for the caller it is lost
)

// exchange makes one call over the network.
func (w *World) exchange(d *Device, req proto.Message) *Exchange {
	x := &Exchange{Device: d, Request: proto.Clone(req)}
	fate := Deliver
	if w.Net != nil {
		fate = w.Net(x)
	}
	w.traceProto("request of "+d.Name, req)
	switch fate {
	case Drop:
		x.Err = passing()
		return x
	case Late:
		w.late = append(w.late, x)
		return &Exchange{Device: d, Request: req, Err: passing()}
	case Twice:
		w.invoke(x)
	}
	w.invoke(x)
	if fate == LoseAnswer {
		x.Response, x.Err = nil, passing()
		return x
	}
	if w.Answer != nil {
		w.Answer(x)
	}
	return x
}

// DeliverLate lets the calls arrive that were late, and returns how many. Their
// answers go nowhere.
func (w *World) DeliverLate() int {
	late := w.late
	w.late = nil
	for _, x := range late {
		w.invoke(x)
	}
	return len(late)
}

// invoke makes the server handle a call.
func (w *World) invoke(x *Exchange) {
	c := x.Device.caller()
	defer w.served(x.Device)
	if x.Err = w.live(x.Device); x.Err != nil {
		return
	}
	x.Response, x.Err = x.Device.node().handle(c, proto.Clone(x.Request))
	w.rest() // streams that it woke
	if w.store.dead[w.store.part] {
		x.Response, x.Err = nil, passing()
	}
	if x.Err != nil {
		x.Response = nil
	} else {
		x.Response = proto.Clone(x.Response)
		w.traceProto("answer to "+x.Device.Name, x.Response)
	}
}

// live tells whether a device's session lives. It is looked up when the list
// changed, and every hour.
func (w *World) live(d *Device) error {
	rec, err := w.store.Store.Get(background, records.AccountPartition(d.Account.ID), records.List)
	if err == nil && rec.Rev == d.liveAt && w.now.Sub(d.liveSince) < time.Hour {
		return nil
	}
	if err := d.node().auth.Live(background, d.caller()); err != nil {
		return err
	}
	d.liveAt, d.liveSince = rec.Rev, w.now
	return nil
}

func (x *node) handle(c caller.Caller, req proto.Message) (proto.Message, error) {
	ctx := caller.With(background, c)
	switch q := req.(type) {
	case *resealv1.SendRequest:
		return x.mailbox.Send(ctx, q)
	case *resealv1.AddWrapsRequest:
		return x.mailbox.AddWraps(ctx, q)
	case *resealv1.ReadDayRequest:
		return x.mailbox.ReadDay(ctx, q)
	case *resealv1.AcknowledgeRequest:
		return x.mailbox.Acknowledge(ctx, q)
	case *resealv1.ClaimRequest:
		return x.mailbox.Claim(ctx, q)
	case *resealv1.PostReceiptRequest:
		return x.mailbox.PostReceipt(ctx, q)
	case *resealv1.AskRetryRequest:
		return x.retry.AskRetry(ctx, q)
	case *resealv1.CloseRetryRequest:
		return x.retry.CloseRetry(ctx, q)
	case *resealv1.LookupRequest:
		return x.directory.Lookup(ctx, q)
	case *resealv1.GetAccountsRequest:
		return x.directory.GetAccounts(ctx, q)
	case *resealv1.GetCertificatesRequest:
		return x.directory.GetCertificates(ctx, q)
	case *resealv1.ChallengeEpochRequest:
		return x.auth.ChallengeEpoch(ctx, q)
	case *resealv1.PublishEpochRequest:
		return x.auth.PublishEpoch(ctx, q)
	case *resealv1.GetBookRequest:
		return x.auth.GetBook(ctx, q)
	case *resealv1.PutBookRequest:
		return x.auth.PutBook(ctx, q)
	case *resealv1.OfferListRequest:
		return x.auth.OfferList(ctx, q)
	case *resealv1.SetBlockedRequest:
		return x.auth.SetBlocked(ctx, q)
	}
	panic(fmt.Sprintf("world: no call for %T", req))
}
