package blob

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/api/refusal"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

const ownSize = 1 + 8

// ownValue is the value of own: how many bytes the object takes.
func ownValue(size uint64) []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, ownSize))
	b.AddUint8(recordVersion)
	b.AddUint64(size)
	return b.BytesOrPanic()
}

func parseOwn(v []byte) (size uint64, err error) {
	b := cryptobyte.String(v)
	var version uint8
	if !b.ReadUint8(&version) || !b.ReadUint64(&size) || !b.Empty() || version != recordVersion || size > message.MaxCiphertext*2 {
		return 0, fmt.Errorf("%w: record own", ErrMalformed)
	}
	return size, nil
}

// kept counts what an account keeps here, complete or not.
func (s *Service) kept(ctx context.Context, account identity.AccountID) (c quota.Count, err error) {
	for rec, err := range store.Scan(ctx, s.Store, partUploads(account), preOwn, store.PrefixEnd(preOwn), false) {
		if err != nil {
			return c, unavailable(err)
		}
		size, err := parseOwn(rec.Value)
		if err != nil {
			return c, fmt.Errorf("blob: damaged record: %w", err)
		}
		c.Items, c.Bytes = c.Items+1, c.Bytes+int64(size)
	}
	return c, nil
}

// disown: the bytes of an object are no more.
func (s *Service) disown(ctx context.Context, account identity.AccountID, b message.BlobID, o Object) error {
	return s.commit(ctx, partUploads(account), new(store.Batch).DeleteOnce(keyOwn(b, o)))
}

// overQuota is what a quota that is used up is to a client.
func overQuota(err error) error {
	if d := refusal.Detail(err); d != nil {
		return &LimitError{Limit: d.Limit, After: time.Duration(d.RetryAfterMs) * time.Millisecond, Stored: true}
	}
	return err
}
