// Package nats is the bus of a server with several nodes: hints go over core
// NATS, which keeps nothing.
//
// A hint is sent at most once, and is dropped where it would have to wait: while
// the connection is away, when more wait than fit, when a subscriber's node is
// behind. [Bus.Dropped] counts what this node knows of. Dropped hints cost their
// readers the time until they look by themselves, at most a minute.
//
// Subscribers on the publisher's own node are told in process, with NATS or
// without. NATS sees topics (which name accounts) and record keys, never records.
// Who can publish there can make nodes read the store for nothing, and no more.
//
// # Subjects
//
// A topic's subject is "reseal.hint.1.t" and the topic in base64url: no byte of a
// topic means anything to NATS.
package nats

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/reseal/reseal/bus"
	"github.com/reseal/reseal/bus/local"
)

const (
	// prefix has a version, so that nodes of two releases never misread each other.
	prefix = "reseal.hint.1.t"
	// maxWaiting bounds hints that wait to be written, and those that wait to be
	// told: 16,384 of at most 1.3 KiB.
	maxWaiting = 16384
	// flushTime bounds the wait for NATS to confirm a subscription.
	flushTime = time.Second
	// muteTime is how long nobody waits again after such a wait was in vain.
	muteTime = 5 * time.Second
)

// Options say how to reach NATS. The zero value of a field is its default.
type Options struct {
	// Credentials is a file with a JWT and its seed, as "nsc" writes it.
	Credentials string
	// TLS is used for tls:// addresses, and asked for everywhere if it is set; default
	// the system's authorities and TLS 1.3.
	TLS *tls.Config
	// Plain allows addresses without TLS that are not this machine's.
	Plain bool
	// Log is told of connections, never of addresses or hints; default discards.
	Log *slog.Logger
}

// Bus is a [bus.Bus] over NATS. Make it by [Open]; its methods may be called
// from many goroutines.
type Bus struct {
	conn    *nats.Conn
	log     *slog.Logger
	here    local.Bus
	dropped atomic.Uint64
	muted   atomic.Int64 // until when, Unix nanoseconds, no subscription waits

	out  chan *nats.Msg // hints that wait to be written
	in   chan *nats.Msg // hints that wait to be told
	stop chan struct{}
	wg   sync.WaitGroup
	once sync.Once

	mu     sync.Mutex // owns topics; held while NATS is told of a first or last one
	topics map[string]*interest
}

// interest is a topic's subscription at NATS, which its subscribers here share.
type interest struct {
	sub *nats.Subscription
	n   int
}

var _ bus.Bus = (*Bus)(nil)

// Open makes the bus of one node. Addresses are "nats://host:port" or
// "tls://host:port", several of one cluster divided by commas, and hold no
// secrets. NATS need not be there yet: it is tried again for ever.
func Open(addresses string, o Options) (*Bus, error) {
	servers, secure, err := parse(addresses, o.Plain)
	if err != nil {
		return nil, err
	}
	if o.Credentials != "" {
		if _, err := os.Stat(o.Credentials); err != nil {
			return nil, err // now, rather than at each of a thousand tries
		}
	}
	if secure && o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Bus{
		log: o.Log, topics: map[string]*interest{}, stop: make(chan struct{}),
		out: make(chan *nats.Msg, maxWaiting), in: make(chan *nats.Msg, maxWaiting),
	}
	options := nats.GetDefaultOptions()
	options.Servers = servers
	for _, set := range b.options(o) {
		if err := set(&options); err != nil {
			return nil, errors.New("bus/nats: the credentials or TLS settings do not work")
		}
	}
	if b.conn, err = options.Connect(); err != nil {
		return nil, errors.New("bus/nats: NATS refuses this node") // the library's error may quote addresses
	}
	b.wg.Go(b.write)
	b.wg.Go(b.tell)
	return b, nil
}

func (b *Bus) options(o Options) []nats.Option {
	all := []nats.Option{
		nats.Name("reseal"), nats.NoEcho(), nats.Timeout(2 * time.Second),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		// An old hint is worth less than its memory: none waits for a connection.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2), nats.FlusherTimeout(2 * time.Second),
		// Only the addresses that the operator gave, which were checked.
		nats.IgnoreDiscoveredServers(),
		// Credentials may be put right while the node runs.
		nats.IgnoreAuthErrorAbort(),
		nats.ConnectHandler(func(*nats.Conn) { b.log.Info("bus: NATS is there") }),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { b.log.Warn("bus: NATS is away, hints are late") }),
		nats.ReconnectHandler(func(*nats.Conn) { b.log.Info("bus: NATS is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) {
				b.dropped.Add(1)
				return
			}
			// The error may quote a subject, and that names an account.
			b.log.Warn("bus: NATS refused something of this node, hints are late")
		}),
	}
	if o.Credentials != "" {
		all = append(all, nats.UserCredentials(o.Credentials))
	}
	if o.TLS != nil {
		all = append(all, nats.Secure(o.TLS))
	}
	return all
}

// Publish tells the subscribers of this node, then those of the others.
func (b *Bus) Publish(topic string, hint []byte) {
	b.here.Publish(topic, hint)
	if len(topic) > bus.MaxTopic || len(hint) > bus.MaxHint {
		b.dropped.Add(1)
		return
	}
	select {
	case b.out <- &nats.Msg{Subject: subject(topic), Data: append([]byte(nil), hint...)}:
	default:
		b.dropped.Add(1)
	}
}

// Subscribe adds a subscriber. It waits a second at most until NATS knows of it,
// so that what is read from the store afterwards and hints leave no gap; without
// NATS it does not wait.
func (b *Bus) Subscribe(topic string, f func([]byte)) func() {
	cancel := b.here.Subscribe(topic, f)
	if b.join(topic) {
		b.flush()
	}
	return sync.OnceFunc(func() {
		cancel()
		b.leave(topic)
	})
}

// Connected tells whether NATS is there now.
func (b *Bus) Connected() bool { return b.conn.IsConnected() }

// Dropped is how many hints this node knows to be lost. Of a burst that it was too
// slow to take, only the beginning is counted.
func (b *Bus) Dropped() uint64 { return b.dropped.Load() }

// Close ends the bus: what waits is lost, and nobody is told of anything more.
func (b *Bus) Close() {
	b.once.Do(func() {
		close(b.stop)
		b.conn.Close()
		b.wg.Wait()
	})
}

// join tells whether NATS may not know of this node's interest yet. It says yes to
// those who come second, too: the first may still be waiting.
func (b *Bus) join(topic string) bool {
	if len(topic) > bus.MaxTopic {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[topic]
	if t == nil {
		// Of one channel for all, so that 100,000 topics are no goroutine each.
		sub, err := b.conn.ChanSubscribe(subject(topic), b.in)
		if err != nil {
			b.log.Warn("bus: a subscription was refused, hints are late")
		}
		t = &interest{sub: sub}
		b.topics[topic] = t
	}
	t.n++
	return t.sub != nil
}

func (b *Bus) leave(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[topic]
	if t == nil {
		return
	}
	if t.n--; t.n > 0 {
		return
	}
	delete(b.topics, topic)
	if t.sub != nil {
		_ = t.sub.Unsubscribe() // fails without a connection, which forgets it as well
	}
}

func (b *Bus) flush() {
	if !b.conn.IsConnected() || time.Now().UnixNano() < b.muted.Load() {
		return
	}
	if err := b.conn.FlushTimeout(flushTime); err != nil {
		b.muted.Store(time.Now().Add(muteTime).UnixNano())
	}
}

// write is apart from Publish because a write may block for a connection that
// stands still.
func (b *Bus) write() {
	for {
		select {
		case <-b.stop:
			return
		case m := <-b.out:
			if err := b.conn.PublishMsg(m); err != nil {
				b.dropped.Add(1)
			}
		}
	}
}

func (b *Bus) tell() {
	for {
		select {
		case <-b.stop:
			return
		case m := <-b.in:
			if topic, ok := topicOf(m.Subject); ok && len(m.Data) <= bus.MaxHint {
				b.here.Publish(topic, m.Data)
			}
		}
	}
}

func subject(topic string) string {
	return prefix + base64.RawURLEncoding.EncodeToString([]byte(topic))
}
