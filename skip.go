package reseal

import (
	"errors"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/vault"
)

// uncommitted takes the error of a batch that was not stored. What the server
// told too much of at once is skipped, or it would come again for ever: for a
// page of a day the stream does not even end, since the next one would begin
// with the same page, and the sync that reads it tells the engine all the same.
func (a *Account) uncommitted(ev client.Event, err error) error {
	_, page := ev.(client.DayRead)
	_, streamed := ev.(client.Streamed)
	skip := (page || streamed) && errors.Is(err, vault.ErrTooLarge)
	if skip && page {
		a.reloadEngine()
	} else {
		a.reopenEngine()
	}
	if !skip {
		return vaultError(err)
	}
	a.log.Warn("reseal: what the server told does not fit and is left there", "error", err)
	out, err := a.engine.Step(a.clock(), client.Skipped{Event: ev})
	if err != nil {
		return engineError(err)
	}
	if err := a.section.Commit(vaultBatch(out.Batch)); err != nil {
		a.reopenEngine()
		return vaultError(err)
	}
	for _, f := range out.Effects {
		a.perform(f)
	}
	return nil
}
