package cassandra

import (
	"fmt"
	"math"
	"time"

	"github.com/reseal/reseal/store"
)

const (
	// grace is how long the database keeps a row behind its expiry: until then a
	// new record sees the old revision. It is far above any difference of clocks,
	// so that later a revision from the clock is larger than the old one.
	grace = time.Minute
	// deleteAhead is how far a delete is stamped ahead of the clock.
	deleteAhead = 10 * time.Second
	// longest is the longest time that is left to the database; it refuses 20
	// years. Rows with more stay, and are absent all the same.
	longest = 10 * 365 * 24 * time.Hour
	// valueMark stands before every value: the driver reads an empty one as none.
	valueMark = 1
)

// row is one row as it is stored.
type row struct {
	key     []byte
	rev     int64
	expires int64
	token   []byte
	value   []byte
}

func expiryColumn(expires int64) int64 {
	if expires == 0 {
		return math.MaxInt64
	}
	return expires
}

// seconds is the time to live of a row, 0 for ever.
func seconds(expires int64, now time.Time) int {
	if expires == 0 {
		return 0
	}
	left := time.UnixMilli(expires).Sub(now)
	if left > longest {
		return 0
	}
	return int(max(left, 0)/time.Second) + 1 + int(grace/time.Second)
}

func valueColumn(v []byte) []byte {
	return append([]byte{valueMark}, v...)
}

// record is what a row says at now, absent (with its key) if it has expired. A row
// that this package cannot have written is [store.ErrDamaged].
func (r row) record(now time.Time, keysOnly bool) (store.Record, error) {
	rec := store.Record{Key: store.Key(r.key)}
	if r.rev == 0 {
		return rec, nil
	}
	if r.rev < 0 || r.expires < 0 || (len(r.token) != 0 && len(r.token) != len(rec.Token)) ||
		(!keysOnly && (len(r.value) == 0 || r.value[0] != valueMark)) {
		return rec, fmt.Errorf("%w: a row with revision %d and %d bytes", store.ErrDamaged, r.rev, len(r.value))
	}
	expires := r.expires
	if expires == math.MaxInt64 {
		expires = 0
	}
	if (r.expires == 0) || store.Expired(expires, now) {
		return rec, nil
	}
	rec.Rev, rec.Expires = uint64(r.rev), expires
	copy(rec.Token[:], r.token)
	if !keysOnly {
		rec.Value = r.value[1:]
	}
	return rec, nil
}
