package world

import (
	"context"
	"log/slog"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/server/auth"
	"github.com/reseal/reseal/server/directory"
	"github.com/reseal/reseal/server/mailbox"
	"github.com/reseal/reseal/server/retry"
)

// node is one process of the server: handlers with what they keep in memory, over
// the one store.
type node struct {
	skew      time.Duration
	auth      *auth.Service
	mailbox   *mailbox.Service
	retry     *retry.Service
	directory *directory.Service
	calls     *connect.Server
	stop      chan struct{} // closed: its streams end
}

// newNode puts the handlers together as package server does. Limits on rates are
// left out, and streams do not look at their sessions by the minute.
func (w *World) newNode(n int, skew time.Duration) *node {
	log, b := slog.New(slog.DiscardHandler), end{w.wire, n}
	now := func() time.Time { return w.Now().Add(skew) }
	x := &node{skew: skew, stop: make(chan struct{})}
	x.auth = &auth.Service{
		Store: w.store, Bus: b, Topics: topics{}, Limiter: free{}, Counter: w.counts, Log: log, Now: now, Rand: w.rand,
		ChallengeKey: [32]byte{1},
	}
	x.mailbox = &mailbox.Service{
		Store: w.store, Bus: b, Blobs: w.blobs, Sessions: x.auth, Limiter: free{}, Counter: w.counts, Log: log, Now: now,
		Rand: w.rand, Stop: x.stop, Strangers: 100,
	}
	asked := new(retry.Asked)
	x.mailbox.Asked, x.mailbox.Answering = asked, w.counts
	if n == 0 {
		w.store.Store.OnExpired(x.mailbox.Expired)
	}
	x.retry = &retry.Service{Store: w.store, Queue: x.mailbox, Limiter: free{}, Counter: w.counts, Asked: asked, Log: log, Now: now}
	x.directory = &directory.Service{Store: w.store, Limiter: free{}, Log: log}
	x.calls = connect.NewServer()
	resealv1connect.RegisterMailboxServiceHandler(x.calls, struct {
		*mailbox.Service
		retries
	}{x.mailbox, retries{x.retry}})
	x.limit(w.quotas, now)
	return x
}

func (x *node) limit(l quota.Limits, now func() time.Time) {
	x.mailbox.Pending = quota.NewTally("pending", l.Pending, "pending-bytes", l.PendingBytes, now)
	x.mailbox.SentQuota = quota.NewTally("sent", l.Sent, "", 0, now)
}

type retries struct{ *retry.Service }

type topics struct{}

func (topics) Directory(a identity.AccountID) string { return mailbox.DirectoryTopic(a) }
func (topics) Sessions(a identity.AccountID) string  { return mailbox.SessionTopic(a) }
func (topics) Book(a identity.AccountID) string      { return mailbox.BookTopic(a) }

// free limits nothing.
type free struct{}

func (free) Allow(string, string) error       { return nil }
func (free) AllowN(string, string, int) error { return nil }

// Nodes adds nodes to the server, each with its clock so far ahead of the first
// one's. [World.Route] says who is connected to which.
func (w *World) Nodes(skews ...time.Duration) {
	for _, skew := range skews {
		w.nodes = append(w.nodes, w.newNode(len(w.nodes), skew))
	}
}

// Restart ends a node's process, with its streams and all that it had in memory,
// and starts it again.
func (w *World) Restart(n int) {
	close(w.nodes[n].stop)
	w.nodes[n] = w.newNode(n, w.nodes[n].skew)
}

// first is a node whose clock is the truth.
func (w *World) first() *node { return w.nodes[0] }

// node is the one that a device's calls go to.
func (d *Device) node() *node { return d.W.nodes[d.at] }

// served is over: faults of the store that took the process took it alone, and
// where nodes die with all that they have, another one takes its place.
func (w *World) served(d *Device) {
	if w.store.dead[w.store.part] && w.NodesDie {
		w.Restart(d.at)
	}
	delete(w.store.dead, w.store.part)
}

// connects asks where a device's connection goes to, and reports whether it gets
// through.
func (w *World) connects(d *Device) bool {
	if w.Route == nil {
		return true
	}
	n := w.Route(d)
	if n < 0 {
		return false
	}
	d.at = n
	return true
}

// open opens a device's event stream at its node.
func (d *Device) open(ctx context.Context, st *stream, o opened) {
	calls := d.node().calls
	go func() {
		err := calls.Call(ctx, resealv1connect.MailboxServiceEventsProcedure, new(connect.CallInfo), o)
		st.mu.Lock()
		defer st.mu.Unlock()
		st.ended, st.end = true, err
	}()
	d.W.rest() // it writes to the store: in its turn, not beside the next call
}
