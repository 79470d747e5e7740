//go:build linux || darwin || freebsd

package main

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	cycles     = flag.Int("ledger.cycles", 6, "how often TestLedger kills something")
	ledgerSeed = flag.Uint64("ledger.seed", 0, "what TestLedger draws its moments from; 0 is the time")
)

// ledger is what the people of a machine know by themselves: what they were
// told that is sent, and what each of their devices was shown.
type ledger struct {
	*machine
	homes []string // "ana-0" is a device of ana's
	seed  uint64
	stop  atomic.Bool
	acked atomic.Int64

	mu      sync.Mutex
	running []*os.Process
	entries map[[32]byte]*entry // by the hash of the content
}

// entry is one content, which is sent once.
type entry struct {
	to   string // the account
	id   string // where it was acknowledged
	once bool
	// ids under which it came; one is right.
	ids map[string]bool
	// shown counts how often each home was shown all of it.
	shown map[string]int
	// told is whether a command lived to say so. Of a view that was cut off with
	// its file written and not yet recorded, nobody knows: it may come again.
	told bool
	// again counts those that did.
	again int
}

func account(home string) string { return home[:len(home)-2] }

// began counts a command among those that may be killed.
func (l *ledger) began(p *os.Process) (ended func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = append(l.running, p)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running = slices.DeleteFunc(l.running, func(q *os.Process) bool { return p == q })
	}
}

// clear fails the test where a command ended without a cause that it names. A
// killed one has the code -1.
func (l *ledger) clear(home string, r result) {
	if r.code == exitDone || r.code == -1 {
		return
	}
	// The object of the error is not there where an open is repeated after its
	// owner was killed, and fails: the item was printed by then. The text is.
	var e told
	if decode(r.out, &e) != nil || r.code != exitFailed || e.Error == "failed" || e.Error == "damaged" || !strings.Contains(r.err, "hint: ") {
		l.t.Errorf("seed %d, %s: no clear error: %s", l.seed, home, r)
	}
}

// sends sends until it is told to stop.
func (l *ledger) sends(at int, rnd *rand.Rand) {
	home := l.homes[at]
	for i := 0; !l.stop.Load(); i++ {
		e := &entry{to: account(l.homes[rnd.IntN(len(l.homes))]), once: rnd.IntN(4) > 0, ids: map[string]bool{}, shown: map[string]int{}}
		if e.to == account(home) {
			continue
		}
		var content []byte
		args := []string{"send", e.to}
		if rnd.IntN(2) == 0 {
			content = fmt.Appendf(nil, "%s says %d", home, i)
			args = append(args, "--text", string(content))
		} else {
			name := fmt.Sprintf("%s-%d.bin", home, i)
			content = l.file(name, 1000+rnd.IntN(100_000), uint64(at)<<32+uint64(i))
			args = append(args, name)
		}
		if !e.once {
			args = append(args, "--keep")
		}
		l.mu.Lock()
		l.entries[sha256.Sum256(content)] = e
		l.mu.Unlock()
		r := l.at(home, args...)
		l.clear(home, r)
		var sent sentJSON
		if r.code == exitDone && decode(r.out, &sent) == nil && len(sent.To) == 1 && !strings.Contains(r.out, `"queued"`) {
			l.mu.Lock()
			e.id = sent.To[0].Message
			l.mu.Unlock()
			l.acked.Add(1)
		}
	}
}

// opens opens what comes to a home, until it is told to stop. Over is whether
// nothing was there.
func (l *ledger) opens(home string) (over bool) {
	r := l.at(home, "inbox")
	l.clear(home, r)
	over = r.code == exitDone
	for d := json.NewDecoder(strings.NewReader(r.out)); r.code == exitDone && d.More(); {
		var one inboxJSON
		if err := d.Decode(&one); err != nil {
			l.t.Errorf("%s: %v: %s", home, err, r)
			return false
		}
		if l.has(home, one.ID) {
			continue
		}
		over = false
		out := fmt.Sprintf("%s-%s", home, one.ID)
		opened := l.at(home, "open", one.ID, "-o", out, "--force")
		l.clear(home, opened)
		// A file that is there was shown in full, whatever became of the command.
		if content, err := os.ReadFile(filepath.Join(l.dir, out)); err == nil {
			l.shown(home, one, content, opened.code == exitDone)
			_ = os.Remove(filepath.Join(l.dir, out))
		} else if opened.code == exitDone {
			l.t.Errorf("seed %d, %s: opened, and not there: %v", l.seed, home, err)
		}
	}
	return over
}

// shown enters what a home was shown, and whether its command lived to tell.
func (l *ledger) shown(home string, m inboxJSON, content []byte, told bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[sha256.Sum256(content)]
	if e == nil || e.to != account(home) {
		l.t.Errorf("seed %d: %s was shown what nobody sent to them: %d bytes", l.seed, home, len(content))
		return
	}
	if e.once && e.told {
		l.t.Errorf("seed %d: %s was shown %s, which was viewed: %v", l.seed, home, m.ID, e.shown)
	}
	if e.once && len(e.shown) > 0 {
		e.again++
	}
	e.ids[m.ID], e.told = true, e.told || told
	e.shown[home]++
}

// has tells whether a home was shown a message that is kept.
func (l *ledger) has(home, id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if !e.once && e.ids[id] && e.shown[home] > 0 {
			return true
		}
	}
	return false
}

// strike kills the server or a command, and starts the server again. If it is
// examined, it is the server.
func (l *ledger) strike(rnd *rand.Rand, examined bool) {
	time.Sleep(time.Duration(rnd.IntN(150)) * time.Millisecond) // a drawn moment
	if rnd.IntN(2) == 0 || examined {
		l.kill()
		if examined {
			l.examine()
		}
		time.Sleep(time.Duration(rnd.IntN(200)) * time.Millisecond)
		l.serve("reseal")
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.running); n > 0 {
		_ = l.running[rnd.IntN(n)].Kill()
	}
}

// examine has all that a killed server left read and compared.
func (l *ledger) examine() {
	l.t.Helper()
	if r := l.run(l.process("reseal", "serve", "--check", "--json", "--data", "data")); r.code != exitDone {
		l.t.Errorf("seed %d: the data of a killed server: %s", l.seed, r)
	}
}

// Servers and commands are killed at drawn moments while three people with two
// devices each send and open. What was acknowledged comes, once, as it was; what
// was not comes once or never; every home opens again.
func TestLedger(t *testing.T) {
	seed := *ledgerSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("go test ./cmd/reseal -run TestLedger -ledger.cycles %d -ledger.seed %d", *cycles, seed)
	l := &ledger{machine: newMachine(t), seed: seed, entries: map[[32]byte]*entry{}}
	for _, who := range []string{"ana", "ben", "carla"} {
		l.homes = append(l.homes, who+"-0", who+"-1")
		l.does(nil, who+"-0", "signup", who)
		l.does(nil, who+"-1", "login", who)
	}
	l.watch = l.began
	var all sync.WaitGroup
	for at, home := range l.homes {
		all.Go(func() { l.sends(at, rand.New(rand.NewPCG(seed, uint64(at)+1))) })
		all.Go(func() {
			for !l.stop.Load() {
				l.opens(home)
			}
		})
	}
	defer all.Wait()
	defer l.stop.Store(true)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for cycle := range *cycles {
		enough := l.acked.Load() + 1 + rnd.Int64N(3)
		l.until(fmt.Sprintf("messages in cycle %d of seed %d", cycle, seed), func() bool { return l.acked.Load() >= enough })
		report := cycle%25 == 24 || cycle == *cycles-1
		l.strike(rnd, report)
		if report {
			t.Logf("%d cycles, %d acknowledged", cycle+1, l.acked.Load())
		}
	}
	l.stop.Store(true)
	all.Wait()
	l.audit()
}

// audit has every home look until nothing is left to be opened, and compares.
func (l *ledger) audit() {
	l.t.Helper()
	for _, home := range l.homes {
		l.does(nil, home, "status")
	}
	l.until(fmt.Sprintf("all is opened of seed %d", l.seed), func() bool {
		left := false
		for _, home := range l.homes {
			left = !l.opens(home) || left
		}
		return !left && l.lost() == 0
	})
	shown, again := 0, 0
	for _, e := range l.entries {
		shown += e.shown[e.to+"-0"] + e.shown[e.to+"-1"]
		again += e.again
		if len(e.ids) > 1 || e.id != "" && !e.ids[e.id] {
			l.t.Errorf("seed %d: to %s, acknowledged as %q, came as %v", l.seed, e.to, e.id, e.ids)
		}
	}
	l.t.Logf("%d sends, %d acknowledged, %d shown, %d of them again after a kill in a view", len(l.entries), l.acked.Load(), shown, again)
}

// lost counts what was acknowledged and not shown: by one device if it is for
// one view, by both if it is kept.
func (l *ledger) lost() (n int) {
	for _, e := range l.entries {
		if e.id != "" && (len(e.shown) == 0 || !e.once && len(e.shown) < 2) {
			n++
		}
	}
	return n
}
