package world

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store/memory"
)

// World is one server of one or more nodes, its accounts and their devices.
type World struct {
	T testing.TB
	// Net decides what happens to each call; nil delivers. It may change the
	// request, which is a copy.
	Net func(x *Exchange) Fate
	// Answer may change what the server answered, which is a copy too.
	Answer func(x *Exchange)
	// Stream may change, drop or multiply what the server streams.
	Stream func(d *Device, ev *Event) []*Event
	// ServerSkew is how far ahead of the truth the server says that its clock is.
	ServerSkew time.Duration
	// Route says which node a device that connects comes to, -1 for none; nil is
	// the first one, which is the only one unless [World.Nodes] adds some.
	Route func(d *Device) int
	// Hint decides whether a hint of one node reaches another; nil lets all.
	Hint func(from, to int) bool
	// Deaf tells whether what is streamed to a device stays on its way; nil: never.
	Deaf func(d *Device) bool
	// NodesDie: a fault of the store that kills a handler kills its whole node.
	NodesDie bool
	// Power says how a disk fails that [Device.Vault] made; nil: it does not.
	Power func(d *Device) Outage
	// Trace is told of all bytes that go anywhere: what a device stores, what the
	// server stores at a call, requests, answers, and what is streamed.
	Trace func(what string, b []byte)
	// Crash is asked at each step of each device; n counts from 0.
	Crash func(n int, d *Device) Death

	rng  *rand.Rand
	rand *rand.ChaCha8
	now  identity.Time
	mono time.Duration

	wire   *wire
	store  *faulty
	nodes  []*node
	blobs  *Blobs
	counts *counts
	quotas quota.Limits
	memory *client.Memory // of all engines: what they verify differs in nothing

	accounts []*Account
	devices  []*Device
	late     []*Exchange
	steps    int
}

// Death is how a device dies at a step.
type Death uint8

// The deaths.
const (
	Lives      Death = iota
	BeforeItIs       // before the batch is durable
	AfterItIs        // after, and before any effect
)

// Run runs a test in a fresh world.
func Run(t *testing.T, seed uint64, test func(w *World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed)
		defer w.close()
		test(w)
	})
}

func newWorld(t testing.TB, seed uint64) *World {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	w := &World{
		T: t, rand: rand.NewChaCha8(key), rng: rand.New(rand.NewPCG(seed, 1)), counts: &counts{n: map[string]int{}},
		now: identity.TimeOf(time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)), memory: client.NewMemory(),
	}
	w.wire = &wire{}
	w.store = &faulty{commits: map[int]int{}, reads: map[int]int{}, dead: map[int]bool{}}
	st, err := memory.New(records.Schema, memory.Options{Clock: w.Now, Outcome: w.store.outcome})
	if err != nil {
		t.Fatal(err)
	}
	w.store.Store, w.store.traced = st, w.traceCommit
	w.blobs = &Blobs{blobs: map[string]*blob{}}
	w.nodes = []*node{w.newNode(0, 0)}
	return w
}

// counts are the server's counters. Streams count too, so it has a lock.
type counts struct {
	mu      sync.Mutex
	n       map[string]int
	answers map[string][]time.Duration
}

func (c *counts) Count(name, label string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if label != "" {
		name += "/" + label
	}
	c.n[name]++
}

// Answered implements mailbox.Answering.
func (c *counts) Answered(by string, after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers = map[string][]time.Duration{}
	}
	c.answers[by] = append(c.answers[by], after)
}

// AnswerTimes are how long the server saw retries take that one kind of device
// answered: own, sender or sender_other.
func (w *World) AnswerTimes(by string) []time.Duration {
	w.counts.mu.Lock()
	defer w.counts.mu.Unlock()
	return slices.Clone(w.counts.answers[by])
}

// Counted is a counter of the server, "name" or "name/label".
func (w *World) Counted(name string) int {
	w.counts.mu.Lock()
	defer w.counts.mu.Unlock()
	return w.counts.n[name]
}

// Now is the server's clock; devices have it with their skew.
func (w *World) Now() time.Time { return w.now.Time() }

// Time is the server's clock as records have it.
func (w *World) Time() identity.Time { return w.now }

// Steps is how many events engines have taken.
func (w *World) Steps() int { return w.steps }

// Pass lets time pass without anybody noticing yet.
func (w *World) Pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.mono += d
}

// Advance lets time pass, then ticks every device that runs and lets things
// come to rest.
func (w *World) Advance(d time.Duration) {
	w.T.Helper()
	w.Pass(d)
	for _, dev := range w.devices {
		dev.Tick()
	}
	w.Run()
}

// maxActions is how much may happen before a world counts as never at rest.
const maxActions = 50_000

// Run lets everything happen that can, in an order of the seed's choice, until
// the world is at rest. Calls that failed in passing are made again twice.
func (w *World) Run() {
	w.T.Helper()
	rounds := 0
	for range maxActions {
		if w.Step() {
			continue
		}
		if rounds++; rounds > 3 || !w.unpark() {
			return
		}
	}
	w.T.Fatal("world: does not come to rest")
}

// Step lets one thing happen, and reports whether there was one.
func (w *World) Step() bool {
	w.rest()
	var ready []func()
	for _, d := range w.devices {
		ready = append(ready, d.ready()...)
	}
	if len(ready) == 0 {
		return false
	}
	ready[w.rng.IntN(len(ready))]()
	return true
}

// unpark makes what failed in passing ready again.
func (w *World) unpark() (some bool) {
	for _, d := range w.devices {
		some = d.unpark() || some
	}
	return some
}

func (w *World) close() {
	for _, d := range w.devices {
		d.hangUp()
	}
	synctest.Wait()
}

// must fails the test on an error that only a fault of the test can cause.
func must[V any](w *World, v V, err error) V {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(fmt.Errorf("world: %w", err))
	}
	return v
}

var background = context.Background()

// Rand is the world's source of randomness.
func (w *World) Rand() *rand.ChaCha8 { return w.rand }
