package local

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestHintsReachSubscribersOfTheirTopic(t *testing.T) {
	var b Bus
	var got []string
	cancel := b.Subscribe("a", func(h []byte) { got = append(got, "first:"+string(h)) })
	defer b.Subscribe("b", func(h []byte) { got = append(got, "other:"+string(h)) })()
	b.Publish("a", []byte("1"))
	cancel()
	cancel() // harmless
	b.Publish("a", []byte("2"))
	b.Publish("nobody", []byte("3"))
	if fmt.Sprint(got) != "[first:1]" {
		t.Errorf("got %v", got)
	}
	if len(b.topics) != 1 {
		t.Errorf("%d topics left, want the one with a subscriber", len(b.topics))
	}
}

func TestManyAtOnce(t *testing.T) {
	var b Bus
	var n atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			topic := fmt.Sprint(i % 4)
			for range 100 {
				cancel := b.Subscribe(topic, func([]byte) { n.Add(1) })
				b.Publish(topic, nil)
				cancel()
			}
		})
	}
	wg.Wait()
	if n.Load() < 1600 {
		t.Errorf("%d hints arrived, want at least each publisher's own 1600", n.Load())
	}
	if len(b.topics) != 0 {
		t.Error("topics are left over")
	}
}
