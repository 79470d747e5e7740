package blob

import (
	"context"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// Collect is what the janitor does for a due blob, whatever its object.
func Collect(ctx context.Context, s *Service, b message.BlobID) error {
	st, _, err := s.readState(ctx, b)
	if err != nil || st == nil {
		return err
	}
	return s.collect(ctx, b, st.Object)
}

// Abandon is what the janitor does for the upload of b that is due.
func Abandon(ctx context.Context, s *Service, a identity.AccountID, b message.BlobID) error {
	rows, err := s.Store.Range(context.Background(), partUploads(a), preUp, store.PrefixEnd(preUp), 1, true)
	if err != nil || len(rows) == 0 {
		return err
	}
	return s.abandon(ctx, a, b, Object([]byte(rows[0].Key[len(preUpOf(b)):])))
}

// Kept counts what an account keeps, as its quota does.
func Kept(ctx context.Context, s *Service, a identity.AccountID) (quota.Count, error) {
	return s.kept(ctx, a)
}
