package world

import (
	"bytes"
	"slices"
	"sync"
	"testing/synctest"
)

// wire is the bus between the nodes. It keeps what is published until the
// world hands it over, one hint to one subscriber at a time, in the order in
// which they came and subscribed: streams that one hint wakes would otherwise run
// side by side, in an order of the machine's.
type wire struct {
	mu   sync.Mutex
	subs []*subscriber // in the order in which they subscribed
	sent []hint
}

type subscriber struct {
	node  int
	topic string
	f     func([]byte)
}

type hint struct {
	from  int
	topic string
	bytes []byte
}

// end is a node's end of the bus.
type end struct {
	*wire
	node int
}

// Publish implements [bus.Bus].
func (b end) Publish(topic string, h []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, hint{b.node, topic, bytes.Clone(h)})
}

// Subscribe implements [bus.Bus].
func (b end) Subscribe(topic string, f func([]byte)) func() {
	s := &subscriber{b.node, topic, f}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs = append(b.subs, s)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.subs = slices.DeleteFunc(b.subs, func(o *subscriber) bool { return o == s })
	}
}

// take returns the oldest hint with those whom it is for.
func (b *wire) take() (h hint, to []*subscriber, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sent) == 0 {
		return h, nil, false
	}
	h, b.sent = b.sent[0], b.sent[1:]
	for _, s := range b.subs {
		if s.topic == h.topic {
			to = append(to, s)
		}
	}
	return h, to, true
}

// rest hands over all hints, and returns when no stream has anything to do.
func (w *World) rest() {
	synctest.Wait()
	for {
		h, to, ok := w.wire.take()
		if !ok {
			return
		}
		for _, s := range to {
			if s.node != h.from && w.Hint != nil && !w.Hint(h.from, s.node) {
				continue
			}
			s.f(h.bytes)
			synctest.Wait()
		}
	}
}
