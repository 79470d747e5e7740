package store

import (
	"context"
	"fmt"
)

// MaxSteps is how many commits one [CommitAll] takes; more are [ErrLimit] before
// any effect.
const MaxSteps = 8

// Step is one commit of several: see [CommitAll].
type Step struct {
	Partition Partition
	Batch     *Batch
}

// Chainer is what engines may have besides, for speed: several commits that each
// wait for the one before, at the price of one. It keeps what [CommitAll] says.
type Chainer interface {
	CommitAll(ctx context.Context, steps []Step) error
}

// CommitAll commits one step after the other, and ends with the first that is not
// committed, with its error: nil says that all are durable. Each takes effect only
// if those before it have, and whoever sees one sees those before it. It is not
// atomic: after an error, and after a crash, the first ones may be there without
// the rest. After [ErrUnknown] so may any number of them, and each may follow much
// later; the caller repeats all.
func CommitAll(ctx context.Context, s Store, steps ...Step) error {
	if len(steps) > MaxSteps {
		return fmt.Errorf("%w: %d steps, %d are allowed", ErrLimit, len(steps), MaxSteps)
	}
	if c, ok := s.(Chainer); ok {
		return c.CommitAll(ctx, steps)
	}
	for _, step := range steps {
		if err := s.Commit(ctx, step.Partition, step.Batch); err != nil {
			return err
		}
	}
	return nil
}
