package client_test

import (
	"iter"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
)

// counting counts what is read of a section: records, and names.
type counting struct {
	*world.State
	records, names int
}

func (c *counting) Get(name string) ([]byte, bool) {
	c.records++
	return c.State.Get(name)
}

func (c *counting) Range(prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for name, value := range c.State.Range(prefix) {
			c.records++
			if !yield(name, value) {
				return
			}
		}
	}
}

func (c *counting) Names(prefix string) []string {
	names := c.State.Names(prefix)
	c.names += len(names)
	return names
}

// What one event costs does not grow with what waits.
func TestTheWorkOfAnEventDoesNotGrowWithWhatWaits(t *testing.T) {
	type work struct{ records, names int }
	measure := func(waiting uint32) (all []work) {
		world.Run(t, 1, func(w *world.World) {
			ana, bob, a, _, _ := pair(w)
			st := &counting{State: a.State.Clone()}
			e, err := client.Open(st, w.Rand())
			must(t, err)
			clock := a.Clock()
			step := func(ev client.Event) {
				t.Helper()
				before := work{st.records, st.names}
				out, err := e.Step(clock, ev)
				must(t, err)
				all = append(all, work{st.records - before.records, st.names - before.names})
				st.Commit(out.Batch)
			}
			step(client.Connected{})
			step(client.Synced{Through: w.Time().Day() + 1})
			arrive := func(n uint32) {
				ev := from(w, bob.ID, n, ana, 100)
				step(client.Streamed{Event: ev})
			}
			for n := uint32(0); n < waiting; {
				page := new(resealv1.ReadDayResponse)
				for range min(waiting-n, 500) {
					page.Messages = append(page.Messages, from(w, bob.ID, n, ana, 100).GetMessage())
					n++
				}
				step(client.DayRead{Day: w.Time().Day(), Response: page})
			}
			clock.Wall = clock.Wall.Add(5 * time.Second) // all are asked for
			arrive(waiting)
			all = nil
			for n := range uint32(10) {
				arrive(waiting + 1 + n)
				clock.Wall = clock.Wall.Add(time.Second)
			}
			before := work{st.records, st.names}
			e.Watched()
			e.Watched()
			all = append(all, work{st.records - before.records, st.names - before.names})
			if n := len(st.State.Names("wait/")); n != int(waiting)+11 {
				t.Fatalf("%d messages wait", n)
			}
		})
		return all
	}
	few, many := measure(100), measure(5000)
	for i := range few {
		if few[i] != many[i] {
			t.Errorf("event %d reads %v with 100 messages waiting, %v with 5,000", i, few[i], many[i])
		}
		if few[i].records > 60 || few[i].names > 60 {
			t.Errorf("event %d reads %v", i, few[i])
		}
	}
}
