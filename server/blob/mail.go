package blob

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// References is a [Service] as the handlers of connect calls use it: what a
// client can act on comes back as a refusal of package api/refusal.
type References struct{ Service *Service }

// AddReference is [Service.AddReference]. A blob that is not there, or not with
// this capability, is REASON_UNKNOWN_BLOB; what a repeat can mend is
// REASON_UNAVAILABLE.
func (r References) AddReference(ctx context.Context, b message.BlobID, capability [32]byte, a identity.AccountID, m message.ID, expires identity.Time) error {
	return refused(r.Service.AddReference(ctx, b, capability, a, m, expires))
}

// DropReference is [Service.DropReference].
func (r References) DropReference(ctx context.Context, b message.BlobID, a identity.AccountID, m message.ID) error {
	return refused(r.Service.DropReference(ctx, b, a, m))
}

func refused(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return refusal.New(resealv1.Reason_REASON_UNKNOWN_BLOB)
	case errors.Is(err, ErrMalformed):
		return refusal.Malformed("blob reference")
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrFull):
		return refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
	}
	return err
}
