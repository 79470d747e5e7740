// Package testworld is a server in memory with accounts and devices that make
// real keys, lists, certificates, wraps and receipts, for tests of the server's
// parts. It is no client: it does what a test says, also what no client would.
package testworld

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// World is a server and its surroundings.
type World struct {
	T      testing.TB
	Server *server.Server
	Store  *memory.Store
	Setup  opaque.Setup
	Log    *Log
	// Invite goes with the sign-ups of the accounts that follow.
	Invite []byte
	// Invites gives every account one of its own instead.
	Invites bool

	clock   atomic.Int64
	mu      sync.Mutex
	outcome func(p store.Partition, b *store.Batch) memory.Outcome
}

// Begin is when a world begins.
var Begin = time.Date(2026, 5, 4, 10, 30, 0, 0, time.UTC)

// New starts a world; change may alter the server's configuration.
func New(t testing.TB, change func(*server.Config)) *World {
	t.Helper()
	w := &World{T: t, Log: new(Log)}
	w.clock.Store(Begin.UnixMilli())
	var err error
	if w.Store, err = memory.New(server.Schema(), memory.Options{Clock: w.Now, Outcome: w.ask}); err != nil {
		t.Fatal(err)
	}
	if w.Setup, err = opaque.NewSetup(rand.Reader); err != nil {
		t.Fatal(err)
	}
	c := server.Config{
		Store: w.Store, BlobFolder: t.TempDir(), BlobFloor: -1, Setup: w.Setup, Now: w.Now, Version: "test",
		Log: slog.New(slog.NewTextHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug})), Limits: &limits.Config{},
	}
	if change != nil {
		change(&c)
	}
	if w.Server, err = server.New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Store.Close() })
	return w
}

// Now is the world's time.
func (w *World) Now() time.Time { return time.UnixMilli(w.clock.Load()).UTC() }

// Time is the world's time as records have it.
func (w *World) Time() identity.Time { return identity.TimeOf(w.Now()) }

// Pass lets time pass.
func (w *World) Pass(d time.Duration) { w.clock.Add(d.Milliseconds()) }

// Outcomes makes f decide how commits end; nil ends that.
func (w *World) Outcomes(f func(p store.Partition, b *store.Batch) memory.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcome = f
}

func (w *World) ask(p store.Partition, b *store.Batch) memory.Outcome {
	w.mu.Lock()
	f := w.outcome
	w.mu.Unlock()
	if f == nil {
		return memory.Known
	}
	return f(p, b)
}

// Client makes calls, with a session's token if there is one.
type Client struct {
	resealv1connect.AccountServiceClient
	Directory resealv1connect.DirectoryServiceClient
	Mailbox   resealv1connect.MailboxServiceClient
}

// Client is a client with a token; "" for none.
func (w *World) Client(token string) Client {
	return ClientOver(connectinprocess.New(w.Server.Calls()), token)
}

// ClientOver is a client over some transport.
func ClientOver(tr connect.Transport, token string) Client {
	c := connect.NewClient(tr, func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok && token != "" {
				info.RequestHeader().Set("Authorization", "Bearer "+token)
			}
			return next(ctx, spec)
		}
	})
	return Client{
		resealv1connect.NewAccountServiceClient(c), resealv1connect.NewDirectoryServiceClient(c), resealv1connect.NewMailboxServiceClient(c),
	}
}

// Refused fails the test unless err is a refusal for this reason.
func Refused(t testing.TB, err error, want resealv1.Reason) {
	t.Helper()
	if got := refusal.Reason(err); got != want {
		t.Fatalf("refused with %v (%v), want %v", got, err, want)
	}
}

// Must fails the test on an error and returns the value.
func Must[V any](t testing.TB) func(v V, err error) V {
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Log keeps what a server logged. Safe for concurrent use.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds to the log.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// Bytes is all that was logged.
func (l *Log) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// Random returns n random bytes.
func Random(n int) []byte {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return b
}
