// Package bus carries wake-up hints between the nodes of a server.
//
// A hint says that something was committed to the store, and where. It may be
// lost, doubled or late, and nothing depends on it but time: who subscribes
// reads the store first and again at each connect, so a lost hint costs a
// delay, never a message. Publish only after the commit.
//
// Package bustest is the suite that each bus passes.
package bus

// Limits, in bytes. A bus between machines drops what is beyond them.
const (
	MaxTopic = 256
	MaxHint  = 1024
)

// Bus is a way for hints. Its methods may be called from many goroutines.
type Bus interface {
	// Publish tells all that subscribed to the topic, on every node. It never
	// blocks for a slow subscriber and keeps no reference to hint.
	Publish(topic string, hint []byte)
	// Subscribe calls f for each hint from now on, until cancel is called; after
	// cancel has returned, f is not called. f must not block and must not call the
	// bus; the hint is only lent. Topics are any bytes.
	Subscribe(topic string, f func(hint []byte)) (cancel func())
}
