package world

import (
	"context"
	"io"
	"log/slog"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/server/auth"
	"github.com/reseal/reseal/server/directory"
	"github.com/reseal/reseal/server/mailbox"
	"github.com/reseal/reseal/server/retry"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// Store is the server's store, for searches that play on from a world at rest.
func (w *World) Store() *memory.Store { return w.store.Store }

// Caller is who a device's calls come from.
func (d *Device) Caller() caller.Caller { return d.caller() }

// Handlers are those of a server's node over a store, without streams: what would
// be streamed is asked for by [Handlers.Waiting].
type Handlers struct{ *node }

// silent is a bus on which nobody listens.
type silent struct{}

func (silent) Publish(string, []byte)                {}
func (silent) Subscribe(string, func([]byte)) func() { return func() {} }

// onlineQueue is a mailbox that is told who is online.
type onlineQueue struct {
	*mailbox.Service
	online func(identity.AccountID) []identity.DeviceID
}

func (q onlineQueue) Online(a identity.AccountID) []identity.DeviceID { return q.online(a) }

// Handle makes handlers that remember nothing from before.
func Handle(s store.Store, now func() time.Time, rand io.Reader, online func(identity.AccountID) []identity.DeviceID) Handlers {
	log, counts, b := slog.New(slog.DiscardHandler), &counts{n: map[string]int{}}, silent{}
	x, asked := new(node), new(retry.Asked)
	x.auth = &auth.Service{
		Store: s, Bus: b, Topics: topics{}, Limiter: free{}, Counter: counts, Log: log, Now: now, Rand: rand, ChallengeKey: [32]byte{1},
	}
	x.mailbox = &mailbox.Service{
		Store: s, Bus: b, Blobs: &Blobs{blobs: map[string]*blob{}}, Sessions: x.auth, Limiter: free{}, Counter: counts, Log: log, Now: now,
		Rand: rand, Stop: make(chan struct{}), Strangers: 100, Asked: asked, Answering: counts,
	}
	q := onlineQueue{x.mailbox, online}
	x.retry = &retry.Service{Store: s, Queue: q, Limiter: free{}, Counter: counts, Asked: asked, Log: log, Now: now}
	x.directory = &directory.Service{Store: s, Limiter: free{}, Log: log}
	x.calls = connect.NewServer()
	resealv1connect.RegisterMailboxServiceHandler(x.calls, struct {
		*mailbox.Service
		retries
	}{x.mailbox, retries{x.retry}})
	return Handlers{x}
}

// Call handles one call.
func (h Handlers) Call(c caller.Caller, req proto.Message) (proto.Message, error) {
	resp, err := h.handle(c, proto.Clone(req))
	if err != nil {
		return nil, err
	}
	return proto.Clone(resp), nil
}

// Waiting is what waits in a device's queue, in its order.
func (h Handlers) Waiting(c caller.Caller) (all []*Event, err error) {
	ctx, cancel := context.WithCancel(caller.With(background, c))
	defer cancel()
	err = h.calls.Call(ctx, resealv1connect.MailboxServiceEventsProcedure, new(connect.CallInfo), &polled{all: &all, stop: cancel})
	if ctx.Err() != nil {
		err = nil // it was asked for no longer
	}
	return all, err
}

// polled is a stream that ends when it has caught up.
type polled struct {
	all  *[]*Event
	stop func()
}

func (p *polled) SendHeaders() error { return nil }

func (p *polled) Receive(any) error { return nil }

// Send takes an event.
func (p *polled) Send(msg any) error {
	ev := msg.(*Event)
	if _, ok := ev.Event.(*resealv1.EventsResponse_CaughtUp); ok {
		p.stop()
	} else if ev.Entry != nil {
		*p.all = append(*p.all, proto.CloneOf(ev))
	}
	return nil
}
