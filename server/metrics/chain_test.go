package metrics_test

import (
	"context"
	"testing"

	"github.com/reseal/reseal/server/metrics"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// chains is an engine that takes several commits at once.
type chains struct {
	store.Store
	taken int
}

func (c *chains) CommitAll(ctx context.Context, steps []store.Step) error {
	c.taken += len(steps)
	return nil
}

// The measured store hands several commits on together where the engine takes
// them so, and one after the other where not.
func TestStepsAreHandedOn(t *testing.T) {
	schema := store.Schema{{Prefix: "o/", Kind: store.Once}}
	m, err := memory.New(schema, memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	steps := []store.Step{
		{Partition: "a", Batch: new(store.Batch).PutOnce("o/1", []byte("v"), 0)},
		{Partition: "b", Batch: new(store.Batch).PutOnce("o/1", []byte("v"), 0)},
	}
	engine := &chains{Store: m}
	if err := store.CommitAll(t.Context(), metrics.New().Store(engine), steps...); err != nil || engine.taken != 2 {
		t.Errorf("%d steps arrived together: %v", engine.taken, err)
	}
	if err := store.CommitAll(t.Context(), metrics.New().Store(m), steps...); err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if _, err := m.Get(t.Context(), s.Partition, "o/1"); err != nil {
			t.Errorf("%s: %v", s.Partition, err)
		}
	}
}

// views is an engine that hands out what it does not copy.
type views struct {
	store.Store
	taken int
}

func (v *views) View(context.Context, store.Partition, store.Key, func(store.Record) error) error {
	v.taken++
	return nil
}

// The measured store lets values be read without a copy where the engine does.
func TestViewsAreHandedOn(t *testing.T) {
	engine := &views{}
	if err := store.View(t.Context(), metrics.New().Store(engine), "a", "o/1", nil); err != nil || engine.taken != 1 {
		t.Errorf("%d views arrived: %v", engine.taken, err)
	}
}
