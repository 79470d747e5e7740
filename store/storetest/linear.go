package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/reseal/reseal/store"
)

// The history is over the decided keys of one partition. A record is known by
// its writer, a number that is never used twice; 0 is absent.
const linearKeys = 3

type linearState [linearKeys]uint64

// linearOp is a Get of one key, or a commit with conditions on the writers that
// the client saw last and writes by writer.
type linearOp struct {
	get        bool
	key        int
	conditions map[int]uint64
	writes     []int
	writer     uint64
}

type linearResult struct {
	ended   error // nil, *Refused or ErrUnknown
	seen    uint64
	current map[int]uint64 // of a refusal
}

// linearModel is one atomic partition. An unknown commit has its effect, if its
// conditions hold, at any time after it began: its end is put at infinity, where
// one that never happened does not show either.
var linearModel = porcupine.Model{
	Init: func() any { return linearState{} },
	Step: func(state, input, output any) (bool, any) {
		s, op, res := state.(linearState), input.(linearOp), output.(linearResult)
		if op.get {
			return s[op.key] == res.seen, s
		}
		holds := true
		for k, writer := range op.conditions {
			holds = holds && s[k] == writer
		}
		if _, refused := errors.AsType[*store.Refused](res.ended); refused {
			for k, writer := range res.current {
				if s[k] != writer {
					return false, s
				}
			}
			return !holds, s
		}
		if !holds {
			return res.ended != nil, s
		}
		for _, k := range op.writes {
			s[k] = op.writer
		}
		return true, s
	},
}

func linearToken(writer uint64) (t store.Token) {
	binary.BigEndian.PutUint64(t[:], writer)
	return t
}

func writerOf(r store.Record) uint64 {
	if !r.Present() {
		return 0
	}
	return binary.BigEndian.Uint64(r.Token[:])
}

// RunLinearizable is the subtest on its own, for engines that can be made to
// answer unknown. The clients call release now and then.
func RunLinearizable(t *testing.T, h *Harness, release func()) {
	h.release = release
	linearizable(t, h)
}

// linearizable: clients read and commit at random, some give up on the way; the
// whole history must fit one order.
func linearizable(t *testing.T, h *Harness) {
	for round := range 12 {
		seed := rand.Uint64()
		p := store.Partition(fmt.Sprintf("linear/%d", round))
		history := linearHistory(t, h, p, seed)
		if got := porcupine.CheckOperationsTimeout(linearModel, history, time.Minute); got != porcupine.Ok {
			t.Fatalf("round %d, seed %d, %d operations: linearizable %v", round, seed, len(history), got)
		}
	}
}

func linearHistory(t *testing.T, h *Harness, p store.Partition, seed uint64) []porcupine.Operation {
	const clients, turns = 5, 30
	var mu sync.Mutex
	var history []porcupine.Operation
	began := time.Now()
	together(t, clients, func(client int) error {
		c := linearClient{h: h, p: p, id: client, random: rand.New(rand.NewPCG(seed, uint64(client)))}
		for turn := range turns {
			call := time.Since(began).Nanoseconds()
			op, res, err := c.step(t.Context(), uint64(client*turns+turn+1))
			if err != nil {
				return err
			}
			end := time.Since(began).Nanoseconds()
			if errors.Is(res.ended, store.ErrUnknown) {
				end = math.MaxInt64
			}
			mu.Lock()
			history = append(history, porcupine.Operation{ClientId: client, Input: op, Output: res, Call: call, Return: end})
			mu.Unlock()
			if end == math.MaxInt64 {
				c.id += clients // an operation without end needs a client of its own
			}
		}
		return nil
	})
	return history
}

type linearClient struct {
	h      *Harness
	p      store.Partition
	id     int
	random *rand.Rand
	last   [linearKeys]store.Record
}

func linearKey(k int) store.Key { return number("d/", k) }

func (c *linearClient) step(ctx context.Context, writer uint64) (linearOp, linearResult, error) {
	node := c.h.node(c.random.IntN(len(c.h.Nodes)))
	if c.h.release != nil && c.random.IntN(6) == 0 {
		c.h.release()
	}
	if c.random.IntN(2) == 0 {
		k := c.random.IntN(linearKeys)
		r, err := node.Get(ctx, c.p, linearKey(k))
		if err != nil && !errors.Is(err, store.ErrAbsent) {
			return linearOp{}, linearResult{}, err
		}
		c.last[k] = r
		return linearOp{get: true, key: k}, linearResult{seen: writerOf(r)}, nil
	}
	op := linearOp{conditions: map[int]uint64{}, writer: writer}
	b := batch()
	for n, k := range c.random.Perm(linearKeys) {
		if n > 0 && c.random.IntN(2) == 0 {
			continue
		}
		op.conditions[k] = writerOf(c.last[k])
		if c.last[k].Present() {
			b.RevIs(linearKey(k), c.last[k].Rev)
		} else {
			b.Absent(linearKey(k))
		}
		if n == 0 || c.random.IntN(2) == 0 {
			op.writes = append(op.writes, k)
			b.Put(linearKey(k), []byte{1}, linearToken(writer), 0)
		}
	}
	if c.random.IntN(8) == 0 { // this one gives up soon
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(c.random.IntN(100))*time.Microsecond)
		defer cancel()
	}
	err := node.Commit(ctx, c.p, b)
	res := linearResult{ended: err}
	if refused, ok := errors.AsType[*store.Refused](err); ok {
		res.current = make(map[int]uint64)
		for k := range op.conditions {
			r, _ := refused.Find(linearKey(k))
			res.current[k], c.last[k] = writerOf(r), r
		}
	} else if err != nil && !errors.Is(err, store.ErrUnknown) {
		return op, res, err
	}
	return op, res, nil
}
