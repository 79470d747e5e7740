package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal/message"
)

// loop is a load whose messages are delivered at once, before or after the sender
// knows their ids.
func loop(senders int, early bool) *load {
	l := &load{senders: senders}
	var n atomic.Uint32
	l.send = func(_ context.Context, _ int, posted func(message.ID)) error {
		k := n.Add(1)
		id := message.ID{0: byte(k >> 16), 1: byte(k >> 8), 2: byte(k)}
		if early {
			l.arrived(id)
			posted(id)
		} else {
			posted(id)
			l.arrived(id)
		}
		return nil
	}
	return l
}

func TestMeasureCountsWhatIsDelivered(t *testing.T) {
	for _, early := range []bool{false, true} {
		l := loop(3, early)
		s := &stage{sizes: sizes{warm: 0.01, long: 0.05}}
		n, p, err := s.measure(t.Context(), new(host), l, l.flood)
		if err != nil {
			t.Fatal(err)
		}
		if n < 1 || p.long < 50*time.Millisecond || p.server != 0 {
			t.Errorf("%d delivered in %v, server %v", n, p.long, p.server)
		}
		// The last of each sender may have been due in the time, and have come after it.
		if c := int64(l.latency.Count()); c < n-3 || c > n+3 {
			t.Errorf("%d delivered, %d latencies", n, c)
		}
		if l.delivered.Load() <= n {
			t.Error("nothing was delivered to warm up")
		}
	}
}

// TestMeasureWaitsForTheFirst: a server that stands still longer than is measured is
// slow, and no failure.
func TestMeasureWaitsForTheFirst(t *testing.T) {
	l := loop(1, false)
	send := l.send
	s := &stage{sizes: sizes{warm: 0.01, long: 0.01}}
	l.send = func(ctx context.Context, i int, posted func(message.ID)) error {
		time.Sleep(100 * time.Millisecond)
		return send(ctx, i, posted)
	}
	n, p, err := s.measure(t.Context(), new(host), l, l.flood)
	if err != nil || n == 0 || l.latency.Count() == 0 || p.long < 10*time.Millisecond {
		t.Errorf("%d delivered in %v, %d latencies, %v", n, p.long, l.latency.Count(), err)
	}
}

func TestRateIsAnOpenLoop(t *testing.T) {
	l := loop(4, false)
	var under atomic.Int64
	release := make(chan struct{})
	send := l.send
	l.send = func(ctx context.Context, i int, posted func(message.ID)) error {
		if under.Add(1) == 10 {
			close(release)
		}
		<-release // none ends before ten have begun
		return send(ctx, i, posted)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-release
		cancel()
	}()
	if err := l.rate(ctx, 1000); err != nil {
		t.Fatal(err)
	}
	if l.delivered.Load() < 10 || l.delivered.Load() != under.Load() {
		t.Errorf("%d of %d delivered when it ended", l.delivered.Load(), under.Load())
	}
}

func TestFailuresEndTheMeasurement(t *testing.T) {
	broken := errors.New("the server is on fire")
	s := &stage{sizes: sizes{warm: 3600, long: 3600}}
	l := &load{senders: 1, send: func(context.Context, int, func(message.ID)) error { return broken }}
	for name, drive := range map[string]func(context.Context) error{
		"flood": l.flood, "rate": func(ctx context.Context) error { return l.rate(ctx, 100) },
	} {
		if _, _, err := s.measure(t.Context(), new(host), l, drive); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	l = loop(1, false)
	if _, _, err := s.measure(ctx, new(host), l, l.flood); !errors.Is(err, broken) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestLost: what the server took and did not deliver is told, and a message that
// comes twice counts once.
func TestLost(t *testing.T) {
	var p post
	p.posted(message.ID{1}, letter{due: time.Now()})
	p.posted(message.ID{2}, letter{due: time.Now()})
	p.arrived(message.ID{1})
	p.arrived(message.ID{1})
	if p.delivered.Load() != 1 {
		t.Errorf("%d delivered", p.delivered.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.empty(ctx); err == nil {
		t.Error("a message is under way, and nobody waits for it")
	}
	p.arrived(message.ID{2})
	if err := p.empty(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestChoose(t *testing.T) {
	all, err := new(Options).choose()
	if err != nil || len(all) != len(Figures()) {
		t.Fatalf("%d figures, %v", len(all), err)
	}
	two, err := (&Options{Only: []string{all[1].Name, all[0].Name}}).choose()
	if err != nil || len(two) != 2 || two[0].Name != all[0].Name {
		t.Errorf("not the two, in the order of the table: %v, %v", two, err)
	}
	_, err = (&Options{Only: []string{"speed"}}).choose()
	if unknown, ok := errors.AsType[*UnknownFigureError](err); !ok || unknown.Name != "speed" || !strings.Contains(err.Error(), all[0].Name) {
		t.Errorf("an unknown figure: %v", err)
	}
}

// TestChooseForAServer: of a server that runs already, what needs another one is
// left out, or refused where it was asked for.
func TestChooseForAServer(t *testing.T) {
	for _, o := range []Options{{Server: "http://127.0.0.1:1"}, {Server: "http://127.0.0.1:1", PID: 1}} {
		all, err := o.choose()
		if err != nil || len(all) == 0 {
			t.Fatalf("%d figures, %v", len(all), err)
		}
		for _, f := range Figures() {
			o.Only = []string{f.Name}
			_, err := o.choose()
			if had := slices.ContainsFunc(all, func(g Figure) bool { return g.Name == f.Name }); had != (err == nil) {
				t.Errorf("%s among all: %v, alone: %v", f.Name, had, err)
			}
			if f.own && !errors.Is(err, ErrOwnServer) {
				t.Errorf("%s needs a server of its own: %v", f.Name, err)
			}
		}
	}
}

// TestDefinitions: each figure says what it is, and names no value twice.
func TestDefinitions(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range slices.Concat(Figures(), Soaks()) {
		if seen[f.Name] || len(f.Definition) < 20 || !strings.HasSuffix(f.Definition, ".") || len(f.Values) == 0 {
			t.Errorf("figure %q: name, definition or values", f.Name)
		}
		seen[f.Name] = true
		for _, m := range f.Values {
			if name := f.Name + "." + m.Name; seen[name] || m.Unit == "" || m.What == "" {
				t.Errorf("value %q: name, unit or meaning", name)
			} else {
				seen[name] = true
			}
		}
	}
}
