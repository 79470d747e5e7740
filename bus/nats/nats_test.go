package nats_test

import (
	"bufio"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"

	"github.com/reseal/reseal/bus"
	"github.com/reseal/reseal/bus/bustest"
	"github.com/reseal/reseal/bus/nats"
)

// patience is how long a machine under load may take for anything.
const patience = 30 * time.Second

// start starts a real NATS server; port -1 picks a free one.
func start(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	o.Host, o.NoSigs, o.NoLog = "127.0.0.1", true, true
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// open makes a bus and waits until it has its connection.
func open(t *testing.T, address string) *nats.Bus {
	t.Helper()
	b, err := nats.Open(address, nats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	until(t, "connected", b.Connected)
	return b
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s in %v", what, patience)
		}
	}
}

func TestBus(t *testing.T) {
	s := start(t, server.Options{Port: -1})
	bustest.Run(t, func(t *testing.T) (bus.Bus, bus.Bus) {
		return open(t, s.ClientURL()), open(t, s.ClientURL())
	})
}

// TestNothingIsLeftAtNATS: topics come with their first subscriber here and go with
// the last.
func TestNothingIsLeftAtNATS(t *testing.T) {
	s := start(t, server.Options{Port: -1})
	before := s.NumSubscriptions()
	b := open(t, s.ClientURL())
	first, second := b.Subscribe("a", func([]byte) {}), b.Subscribe("a", func([]byte) {})
	if n := s.NumSubscriptions() - before; n != 1 {
		t.Errorf("%d subscriptions for one topic", n)
	}
	first()
	first() // counts once
	b.Subscribe("b", func([]byte) {})()
	third := b.Subscribe("c", func([]byte) {}) // NATS has read what came before it
	if n := s.NumSubscriptions() - before; n != 2 {
		t.Errorf("%d subscriptions, want those of a and c", n)
	}
	second()
	third()
	until(t, "empty", func() bool { return s.NumSubscriptions() == before })
}

// TestCluster: hints pass between the servers of a cluster. Interest travels there
// without an acknowledgement, so the first ones may be lost.
func TestCluster(t *testing.T) {
	one := start(t, server.Options{Port: -1, ServerName: "one", Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: -1}})
	two := start(t, server.Options{
		Port: -1, ServerName: "two", Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: -1},
		Routes: server.RoutesFromStr("nats://" + one.ClusterAddr().String()),
	})
	here, there := open(t, one.ClientURL()), open(t, two.ClientURL())
	var got atomic.Int64
	defer there.Subscribe("a", func([]byte) { got.Add(1) })()
	until(t, "told", func() bool {
		here.Publish("a", nil)
		return got.Load() > 0
	})
}

// TestWithoutNATS: nodes start, tell their own subscribers and count what is lost;
// with NATS, everything works by itself, what was subscribed before as well.
func TestWithoutNATS(t *testing.T) {
	s := start(t, server.Options{Port: -1})
	address, port := s.ClientURL(), s.Addr().(*net.TCPAddr).Port
	here, there := open(t, address), open(t, address)
	var own, other, late atomic.Int64
	defer here.Subscribe("a", func([]byte) { own.Add(1) })()
	defer there.Subscribe("a", func([]byte) { other.Add(1) })()
	s.Shutdown()
	s.WaitForShutdown()
	until(t, "cut", func() bool { return !here.Connected() && !there.Connected() })
	fresh, err := nats.Open(address, nats.Options{})
	if err != nil {
		t.Fatalf("no start without NATS: %v", err)
	}
	defer fresh.Close()
	defer fresh.Subscribe("a", func([]byte) { late.Add(1) })()
	here.Publish("a", nil)
	if own.Load() != 1 {
		t.Error("the node's own subscribers wait for NATS")
	}
	until(t, "counted", func() bool { return here.Dropped() == 1 })
	start(t, server.Options{Port: port})
	until(t, "told after NATS came back", func() bool {
		here.Publish("a", nil)
		return other.Load() > 0 && late.Load() > 0
	})
}

// TestStalled: a NATS that takes the connection and then nothing more blocks
// neither Publish nor Subscribe, nor the end.
func TestStalled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stalled := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(stalled)
				return
			}
			_, _ = c.Write([]byte(`INFO {"server_id":"x","version":"2.15.2","proto":1,"max_payload":1048576,"headers":true}` + "\r\n"))
			for r := bufio.NewReader(c); ; {
				if line, err := r.ReadString('\n'); err != nil || strings.HasPrefix(line, "PING") {
					break
				}
			}
			_, _ = c.Write([]byte("PONG\r\n"))
			stalled <- c // kept open, never read again
		}
	}()
	b, err := nats.Open("nats://"+l.Addr().String(), nats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "connected", b.Connected)
	n := 0
	defer b.Subscribe("a", func([]byte) { n++ })()
	hint := make([]byte, bus.MaxHint)
	for range 60_000 { // 60 MB: more than the queue and a connection take
		b.Publish("a", hint)
	}
	if n != 60_000 || b.Dropped() == 0 {
		t.Errorf("%d told here, %d dropped, want 60000 and some", n, b.Dropped())
	}
	b.Close()
	l.Close()
	for c := range stalled {
		c.Close()
	}
}

// TestStrangeHints: what others publish under our prefix reaches nobody, unless
// it is a hint of a topic.
func TestStrangeHints(t *testing.T) {
	s := start(t, server.Options{Port: -1})
	b := open(t, s.ClientURL())
	got := make(chan string, 16)
	defer b.Subscribe("a", func(h []byte) { got <- string(h) })()
	c, err := client.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, h := range []string{strings.Repeat("x", bus.MaxHint+1), "fine"} {
		if err := c.Publish("reseal.hint.1.tYQ", []byte(h)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case h := <-got:
		if h != "fine" {
			t.Errorf("a hint of %d bytes came through", len(h))
		}
	case <-time.After(patience):
		t.Fatal("no hint came")
	}
	b.Publish("a", make([]byte, bus.MaxHint+1)) // for the subscribers here, not for NATS
	if b.Dropped() != 1 {
		t.Errorf("%d dropped, want the long one", b.Dropped())
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"":                                     "not of the form",
		"127.0.0.1:4222":                       "not of the form",
		"nats://127.0.0.1":                     "not of the form",
		"nats://127.0.0.1:4222/x":              "not of the form",
		"nats://127.0.0.1:4222?p=pw":           "not of the form",
		"nats://me:pw@127.0.0.1:4222":          "holds a secret",
		"nats://pw@127.0.0.1:4222":             "holds a secret",
		"nats://10.0.0.1:4222":                 "without TLS",
		"nats://nats.example:4222":             "without TLS",
		"http://127.0.0.1:4222":                "neither",
		"nats://127.0.0.1:1,tls://127.0.0.1:2": "do not go together",
		strings.Repeat("nats://127.0.0.1:1,", 64) + "nat": "more than 64",
	} {
		b, err := nats.Open(address, nats.Options{})
		if err == nil {
			b.Close()
			t.Errorf("%.40q is taken", address)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%.40q: %v, want %q and no secret", address, err, want)
		}
	}
	if _, err := nats.Open("nats://127.0.0.1:4222", nats.Options{Credentials: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("credentials that are not there are no error")
	}
}

// TestTLSIsNotLeftOut: a server without TLS at a tls:// address is never spoken to.
func TestTLSIsNotLeftOut(t *testing.T) {
	s := start(t, server.Options{Port: -1})
	b, err := nats.Open(strings.Replace(s.ClientURL(), "nats:", "tls:", 1), nats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	until(t, "tried again", func() bool {
		v, err := s.Varz(nil)
		return err == nil && v.TotalConnections > 1
	})
	if b.Connected() {
		t.Error("connected without TLS")
	}
}
