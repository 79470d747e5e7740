//go:build !js

package mux_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/reseal/reseal/api/mux"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// BenchmarkUnary counts calls over one loopback connection; client and server
// share the processors. 100 bytes each way.
func BenchmarkUnary(b *testing.B) {
	for _, n := range []int{1, 16, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, mux.Options{})
			c := connect.NewClient(w.dial(mux.DialOptions{}))
			in := wrapperspb.String(strings.Repeat("x", 100))
			b.ReportAllocs()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for range n {
				wg.Go(func() {
					var out wrapperspb.StringValue
					for left.Add(-1) >= 0 {
						if err := c.CallUnary(b.Context(), spec(echo), in, &out); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkStream counts messages of 100 bytes down one stream.
func BenchmarkStream(b *testing.B) {
	w := newWorld(b, mux.Options{})
	c := w.dial(mux.DialOptions{})
	b.ReportAllocs()
	s := open(b, b.Context(), c, count, int64(b.N))
	b.ResetTimer()
	if n, err := drainAll(s); n != b.N || err != nil {
		b.Fatal(n, err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
