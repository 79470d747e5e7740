// Package bustest is the suite that each [bus.Bus] passes, on one node and between
// two.
package bustest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal/bus"
)

// patience is how long a hint may take before a test gives up on it.
const patience = 30 * time.Second

// Nodes makes two nodes of one bus, for one test. Where there is only one node,
// both are the same.
type Nodes func(t *testing.T) (here, there bus.Bus)

// Run runs the suite. Nothing is lost while both nodes are well and the hints
// are few, so the tests wait for every one of them.
func Run(t *testing.T, nodes Nodes) {
	t.Run("reaches every node", func(t *testing.T) { reaches(t, nodes) })
	t.Run("topics stay apart", func(t *testing.T) { apart(t, nodes) })
	t.Run("cancel is final", func(t *testing.T) { final(t, nodes) })
	t.Run("keeps no reference", func(t *testing.T) { borrowed(t, nodes) })
	t.Run("many at once", func(t *testing.T) { many(t, nodes) })
}

// log collects hints.
type log struct {
	mu  sync.Mutex
	got []string
}

func (l *log) add(prefix string) func([]byte) {
	return func(h []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.got = append(l.got, prefix+string(h))
	}
}

func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.got))
}

// wait waits until the hints, sorted, are these.
func (l *log) wait(t *testing.T, want ...string) {
	t.Helper()
	for end := time.Now().Add(patience); !slices.Equal(l.all(), want); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("hints %q, want %q", l.all(), want)
		}
	}
}

func reaches(t *testing.T, nodes Nodes) {
	here, there := nodes(t)
	var l log
	defer here.Subscribe("a", l.add("here:"))()
	defer here.Subscribe("a", l.add("here too:"))()
	defer there.Subscribe("a", l.add("there:"))()
	here.Publish("a", []byte("1"))
	l.wait(t, "here too:1", "here:1", "there:1")
	there.Publish("a", []byte("2"))
	l.wait(t, "here too:1", "here too:2", "here:1", "here:2", "there:1", "there:2")
}

// apart: topics are bytes, whatever they mean to what carries them.
func apart(t *testing.T, nodes Nodes) {
	topics := []string{"", "a", "A", "ab", "a.b", "a.*", "*", ">", "a b", "a\r\nb", "a\x00", "\xff\xfe", "queue/\x01", "directory/\x01"}
	here, there := nodes(t)
	var l log
	var want []string
	for i, topic := range topics {
		defer there.Subscribe(topic, l.add(fmt.Sprintf("%02d:", i)))()
		want = append(want, fmt.Sprintf("%02d:%02d", i, i))
	}
	for i, topic := range topics {
		here.Publish(topic, fmt.Appendf(nil, "%02d", i))
	}
	here.Publish("nobody", []byte("x"))
	l.wait(t, want...)
}

func final(t *testing.T, nodes Nodes) {
	here, there := nodes(t)
	var l log
	cancel := there.Subscribe("a", l.add("first:"))
	defer there.Subscribe("a", l.add("second:"))()
	here.Publish("a", []byte("1"))
	l.wait(t, "first:1", "second:1")
	cancel()
	cancel() // harmless
	here.Publish("a", []byte("2"))
	l.wait(t, "first:1", "second:1", "second:2")
	again := there.Subscribe("a", l.add("again:"))
	here.Publish("a", []byte("3"))
	l.wait(t, "again:3", "first:1", "second:1", "second:2", "second:3")
	again()
}

func borrowed(t *testing.T, nodes Nodes) {
	here, there := nodes(t)
	var l log
	defer there.Subscribe("a", l.add(""))()
	hint := []byte("as it was")
	here.Publish("a", hint)
	copy(hint, "overwritten")
	here.Publish("a", nil)
	l.wait(t, "", "as it was")
}

// many: subscriptions come and go while hints are published, and none is left.
func many(t *testing.T, nodes Nodes) {
	here, there := nodes(t)
	var n atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			topic := fmt.Sprint(i % 4)
			for range 50 {
				var done atomic.Bool
				cancel := there.Subscribe(topic, func([]byte) {
					if done.Load() {
						t.Error("called after cancel has returned")
					}
					n.Add(1)
				})
				there.Publish(topic, nil)
				here.Publish(topic, nil)
				cancel()
				done.Store(true)
			}
		})
	}
	wg.Wait()
	if n.Load() < 400 {
		t.Errorf("%d hints arrived, want at least the 400 that each published to itself", n.Load())
	}
}
