// Package caller says who makes a call: the session that an interceptor of the
// server found behind the bearer token, carried in the context to the handlers.
package caller

import (
	"context"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
)

// Caller is a live session.
type Caller struct {
	Account identity.AccountID
	// Device is zero until the session is bound to one.
	Device identity.DeviceID
	// Session is the hash of the session's token.
	Session [32]byte
	// Credential is the credential number of the login that made the session.
	Credential uint64
	// Reset: the session came by an operator's code, and is good for the reset
	// alone.
	Reset bool
}

type key struct{}

// With returns a context in which c makes the call.
func With(ctx context.Context, c Caller) context.Context { return context.WithValue(ctx, key{}, c) }

// From returns the session behind a call; without one it is a refusal.
func From(ctx context.Context) (Caller, error) {
	c, ok := ctx.Value(key{}).(Caller)
	if !ok {
		return Caller{}, refusal.New(resealv1.Reason_REASON_SESSION_ENDED)
	}
	return c, nil
}

// Device returns the session behind a call if it is bound to a device;
// otherwise it is a refusal.
func Device(ctx context.Context) (Caller, error) {
	c, err := From(ctx)
	if err == nil && c.Device.IsZero() {
		err = refusal.New(resealv1.Reason_REASON_NO_DEVICE)
	}
	return c, err
}
