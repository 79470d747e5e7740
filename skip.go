package reseal

import (
	"errors"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/vault"
)

// uncommitted takes the error of a batch that was not stored. What the server
// told too much of at once is skipped, or it would come again for ever.
func (a *Account) uncommitted(ev client.Event, err error) error {
	switch ev.(type) {
	case client.Streamed, client.DayRead:
	default:
		return vaultError(err)
	}
	if !errors.Is(err, vault.ErrTooLarge) {
		return vaultError(err)
	}
	a.log.Warn("reseal: what the server told does not fit and is left there", "error", err)
	out, err := a.engine.Step(a.clock(), client.Skipped{Event: ev})
	if err != nil {
		return engineError(err)
	}
	if err := a.section.Commit(vaultBatch(out.Batch)); err != nil {
		return vaultError(err)
	}
	for _, f := range out.Effects {
		a.perform(f)
	}
	return nil
}
