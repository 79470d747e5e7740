// Package faults turns what went wrong inside a handler into a refusal that a
// client can act on, and tells the log what it was.
package faults

import (
	"context"
	"errors"
	"log/slog"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/store"
)

// Refuse returns err itself where it is a refusal already. A store that is
// full, failing or of unknown outcome is "unavailable": nothing was promised,
// and the same call may be made again. Everything else is a fault of the
// server; its cause goes to the log under the handler's name, not to the client.
func Refuse(ctx context.Context, log *slog.Logger, name string, err error) error {
	switch {
	case err == nil, refusal.Detail(err) != nil:
		return err
	case errors.Is(err, roster.ErrUnknown):
		return refusal.New(resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	case errors.Is(err, store.ErrChanged):
		// Somebody put the same record with other bytes a moment before.
		return refusal.New(resealv1.Reason_REASON_CONFLICT)
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrUnknown), errors.Is(err, store.ErrClosed),
		errors.Is(err, store.ErrFailed), ctx.Err() != nil:
		log.WarnContext(ctx, name+": not taken", "error", err)
		return refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
	}
	log.ErrorContext(ctx, name+": internal error", "error", err)
	return refusal.New(resealv1.Reason_REASON_INTERNAL)
}
