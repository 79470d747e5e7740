package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is what was sent while a server died again and again.
type load struct {
	*machine
	people []string
	stop   atomic.Bool
	acked  atomic.Int64

	mu   sync.Mutex
	sent []*shipment
}

// shipment is one content from one to another.
type shipment struct {
	from, to, file string
	content        []byte
	id             string // where it was acknowledged
	arrived        int
}

// send sends until it is told to stop: files, of which every content is its
// own, so that what came twice can be told.
func (l *load) send(at int) {
	from, to := l.people[at], l.people[(at+1)%len(l.people)]
	for i := 0; !l.stop.Load(); i++ {
		s := &shipment{from: from, to: to, file: fmt.Sprintf("%s-%d.bin", from, i)}
		size := 1000
		if i%3 == 1 {
			size = 400_000
		}
		if i%7 == 6 {
			size = 9_000_000 // more than one part
		}
		s.content = l.file(s.file, size, uint64(at*1000+i))
		args := []string{"send", to, s.file}
		if i%2 == 1 {
			args = append(args, "--keep")
		}
		r := l.at(from, args...)
		var told sentJSON
		if r.code == exitDone && json.Unmarshal([]byte(r.out), &told) == nil && len(told.To) == 1 && !strings.Contains(r.out, `"queued"`) {
			s.id = told.To[0].Message
			l.acked.Add(1)
		} else if strings.Contains(r.out, `"error":"failed"`) || strings.Contains(r.err, "panic") || strings.Contains(r.err, "SIGQUIT") {
			l.t.Errorf("%s: no clear error: %s", from, r)
		}
		l.mu.Lock()
		l.sent = append(l.sent, s)
		l.mu.Unlock()
	}
}

// A server that is killed under load loses nothing that it acknowledged, and
// doubles nothing; what it did not acknowledge comes once or never.
func TestServerKilledUnderLoad(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	l := &load{machine: newMachine(t), people: []string{"ana", "ben", "carla"}}
	for _, who := range l.people {
		l.does(nil, who, "signup", who)
	}
	// One has an app that stays; the others type commands.
	app := l.typed("ana", "watch")
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Process.Kill(); _ = app.Wait() }()
	var senders sync.WaitGroup
	for at := range l.people {
		senders.Go(func() { l.send(at) })
	}
	for range 3 {
		enough := l.acked.Load() + 2 + rnd.Int64N(4)
		l.until("messages under way", func() bool { return l.acked.Load() >= enough })
		time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond) // a random moment
		l.kill()
		time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond) // somebody notices
		l.serve("reseal")
	}
	enough := l.acked.Load() + 2
	l.until("messages after the last start", func() bool { return l.acked.Load() >= enough })
	l.stop.Store(true)
	senders.Wait()
	t.Logf("%d messages, %d acknowledged", len(l.sent), l.acked.Load())
	l.settled()
	l.check()
}

// settled waits until all is out: what a command had left goes out with the next
// one at its home.
func (l *load) settled() {
	l.t.Helper()
	for _, who := range l.people {
		l.until(who+"'s messages are out", func() bool {
			for _, m := range l.inbox(who, "--sent") {
				if m.State == "queued" {
					return false
				}
			}
			return true
		})
	}
}

// check opens all that has come.
func (l *load) check() {
	l.t.Helper()
	byContent := map[string]*shipment{}
	byID := map[string]*shipment{}
	for _, s := range l.sent {
		byContent[string(s.content)] = s
		if s.id != "" {
			byID[s.id] = s
		}
	}
	for _, who := range l.people {
		var all []inboxJSON
		l.until("all is readable for "+who, func() bool {
			all = l.inbox(who)
			there := map[string]bool{}
			for _, m := range all {
				there[m.ID] = m.State == "ready"
			}
			for id, s := range byID {
				if s.to == who && !there[id] {
					return false
				}
			}
			return true
		})
		for i, m := range all {
			out := fmt.Sprintf("%s-got-%d", who, i)
			l.does(nil, who, "open", m.ID, "-o", out)
			got := l.read(out)
			s := byContent[string(got)]
			switch {
			case s == nil || s.to != who || s.from != m.From:
				l.t.Errorf("%s got what nobody sent to them: %d bytes", who, len(got))
			case s.id != "" && s.id != m.ID:
				l.t.Errorf("%s was acknowledged as %s and came as %s", s.file, s.id, m.ID)
			default:
				s.arrived++
			}
		}
	}
	for _, s := range l.sent {
		if s.arrived > 1 || s.id != "" && s.arrived == 0 {
			l.t.Errorf("%s, acknowledged as %q, came %d times", s.file, s.id, s.arrived)
		}
	}
}

// equal fails the test unless a file has this content.
func (m *machine) equal(name string, want []byte) {
	m.t.Helper()
	if got := m.read(name); !bytes.Equal(got, want) {
		m.t.Errorf("%s: another content, of %d bytes, want %d", name, len(got), len(want))
	}
}
