package presealed

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store/pebble"
)

// BenchmarkMessage sends messages of 1 KiB from so many senders at once, each to
// somebody of their own, through a real server on loopback and the disk of the
// temporary folder, until each was stored, delivered and acknowledged. Client and
// server share the processors, and their allocations are counted together.
func BenchmarkMessage(b *testing.B) {
	for _, senders := range []int{1, 16, 100} {
		b.Run(fmt.Sprint(senders), func(b *testing.B) { benchmarkMessage(b, senders) })
	}
}

func benchmarkMessage(b *testing.B, senders int) {
	h := benchmarkServer(b)
	var arrived atomic.Int64
	clients, letters := make([]*Client, senders), make([]*Letter, senders)
	came := make([]chan struct{}, senders)
	for i := range senders {
		from := benchmarkMust(h.SignUp(b.Context(), fmt.Sprint("from-", i), nil))(b)
		to := benchmarkMust(h.SignUp(b.Context(), fmt.Sprint("to-", i), nil))(b)
		came[i] = make(chan struct{}, 1)
		there := benchmarkMust(to.Connect(b.Context(), func(a Arrival) {
			if a.Wraps > 0 {
				arrived.Add(1)
				came[i] <- struct{}{}
			}
		}))(b)
		b.Cleanup(there.Close)
		clients[i] = benchmarkMust(from.Connect(b.Context(), nil))(b)
		b.Cleanup(clients[i].Close)
		letters[i] = benchmarkMust(from.Seal(to.Account, 1024))(b)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for i := range senders {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				_, req := letters[i].Next()
				if _, err := clients[i].Send(b.Context(), req); err != nil {
					b.Error(err)
					return
				}
				<-came[i]
			}
		})
	}
	all.Wait()
	b.StopTimer()
	if n := arrived.Load(); n != int64(b.N) {
		b.Errorf("%d of %d messages arrived", n, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// benchmarkServer is a server over a real store, with limits that are counted and
// not met.
func benchmarkServer(b *testing.B) *Host {
	b.Helper()
	s, err := pebble.Open(b.TempDir(), server.Schema(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	high := limits.Default()
	for _, kind := range limits.Kinds() {
		if err := high.Set(kind + "=10000000/10000000"); err != nil {
			b.Fatal(err)
		}
	}
	w := testworld.New(b, func(c *server.Config) {
		c.Now, c.Store, c.Limits, c.Strangers = time.Now, s, &high, -1
		q := quota.Default()
		q.Pending, q.PendingBytes, q.Sent = 1<<40, 1<<50, 1<<40
		c.Quotas = &q
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.Server.Serve(ctx, l) }()
	b.Cleanup(func() {
		cancel()
		<-served
	})
	h, err := Dial(b.Context(), "http://"+l.Addr().String(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(h.Close)
	return h
}

func benchmarkMust[V any](v V, err error) func(b *testing.B) V {
	return func(b *testing.B) V {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
}
