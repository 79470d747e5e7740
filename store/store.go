package store

import (
	"context"
	"io"
	"time"
)

// Limits, the same in every engine. A call beyond one ends in [ErrLimit] before
// any effect.
const (
	MaxPartition  = 256       // bytes of a partition's name; at least 1
	MaxKey        = 256       // bytes of a key; at least 1
	MaxValue      = 64 << 10  // bytes of a value; 0 is allowed for once records
	MaxWrites     = 100       // records that one batch writes or deletes
	MaxBatch      = 256 << 10 // bytes of all keys and values in one batch, condition keys included
	MaxConditions = 32        // conditions of one batch
	MaxPage       = 1000      // records that one Range returns
)

// ClockTolerance is how far the clocks of nodes may differ. A record may be
// taken for present or absent that much before or after its expiry.
const ClockTolerance = 2 * time.Second

// Partition names what a batch is atomic in. Raw bytes, 1 to [MaxPartition].
type Partition string

// Key names a record within its partition. Raw bytes, 1 to [MaxKey], ordered
// bytewise.
type Key string

// After is the smallest key above k: where the next page of a Range starts.
func After(k Key) Key { return k + "\x00" }

// PrefixEnd is the smallest key above every key that starts with prefix, for
// the end of a Range. For a prefix of only 0xff bytes it is "", no end.
func PrefixEnd(prefix Key) Key {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			return prefix[:i] + Key([]byte{prefix[i] + 1})
		}
	}
	return ""
}

// Token marks who wrote a decided record: 16 random bytes for each intent, the
// same in its repeats. After an unknown outcome the writer reads the record
// and knows its own write by it. The zero token is refused in a batch.
type Token [16]byte

// NewToken reads a fresh token from rand.
func NewToken(rand io.Reader) (t Token, err error) {
	_, err = io.ReadFull(rand, t[:])
	return t, err
}

// Record is what a read returns. Its Value belongs to the caller.
type Record struct {
	Key     Key
	Value   []byte // nil in answer to a Range of keys only
	Rev     uint64 // 1 or more; 0 means absent, see [Refused]
	Expires int64  // milliseconds since the Unix epoch; 0 is never
	Token   Token  // the writer's, of decided records; zero for once records
}

// Present reports whether there is a record at all.
func (r Record) Present() bool { return r.Rev != 0 }

// Gone reports whether r is a decided record that was overwritten by
// [Batch.Gone]. It cannot be told from a Range of keys only.
func (r Record) Gone() bool { return r.Present() && r.Token != Token{} && len(r.Value) == 0 }

// Expired reports whether a record with this expiry is absent at now.
func Expired(expires int64, now time.Time) bool {
	return expires != 0 && expires <= now.UnixMilli()
}

// Store is an engine, or one node's view of it. All methods may be called from
// many goroutines. What they promise is in the package documentation.
type Store interface {
	// Get returns the record, or [ErrAbsent]. A gone record is present.
	Get(ctx context.Context, p Partition, k Key) (Record, error)
	// Range returns up to limit (1 to [MaxPage]) records with from <= key < to
	// in order; to "" is no end. With keysOnly their values are left out.
	// An answer shorter than limit is complete.
	Range(ctx context.Context, p Partition, from, to Key, limit int, keysOnly bool) ([]Record, error)
	// Commit applies b to p: nil, [*Refused], [ErrUnknown], or another error
	// and no effect. It keeps no reference to b after it returns, except that
	// after ErrUnknown the batch must not be changed any more.
	Commit(ctx context.Context, p Partition, b *Batch) error
	// Close ends what the engine runs. Calls after it return [ErrClosed].
	Close() error
}

// Expirer is what engines may have besides, for figures: it tells of what goes
// because its time is over.
type Expirer interface {
	// OnExpired has f called with each record that is deleted for having
	// expired: some time after that, in the order of expiry, then of partition
	// and key. A crash may take a call away, or repeat one. f must be quick, must
	// not use the store, and may use the record's value only until it returns.
	OnExpired(f func(Partition, Record))
}

// Lister is what engines have besides, for operators: no call of a client lists
// partitions, which may be very many.
type Lister interface {
	// Partitions returns up to limit (1 to [MaxPage]) names above after ("" for
	// the first ones) that begin with prefix, in an order of the engine's own
	// that is always the same. Those that have only records that expired or are
	// gone may be among them. A partition that was there before the first page
	// and stays is in the answer; an answer shorter than limit is the last.
	Partitions(ctx context.Context, prefix, after Partition, limit int) ([]Partition, error)
}
