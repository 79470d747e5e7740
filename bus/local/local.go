// Package local is the bus of a server with one node: hints go to subscribers
// in the same process, in the publisher's goroutine.
package local

import (
	"sync"

	"github.com/reseal/reseal/bus"
)

// Bus is an in-process [bus.Bus]. The zero value is ready for use.
type Bus struct {
	mu     sync.RWMutex
	topics map[string]map[*subscription]struct{}
}

type subscription struct{ f func([]byte) }

var _ bus.Bus = (*Bus)(nil)

// Publish calls the subscribers of a topic one after the other.
func (b *Bus) Publish(topic string, hint []byte) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for s := range b.topics[topic] {
		s.f(hint)
	}
}

// Subscribe adds a subscriber.
func (b *Bus) Subscribe(topic string, f func([]byte)) func() {
	s := &subscription{f}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics == nil {
		b.topics = map[string]map[*subscription]struct{}{}
	}
	if b.topics[topic] == nil {
		b.topics[topic] = map[*subscription]struct{}{}
	}
	b.topics[topic][s] = struct{}{}
	return sync.OnceFunc(func() { b.cancel(topic, s) })
}

func (b *Bus) cancel(topic string, s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.topics[topic], s)
	if len(b.topics[topic]) == 0 {
		delete(b.topics, topic)
	}
}
