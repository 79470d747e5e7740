package blob

import (
	"encoding/binary"
	"fmt"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// Schema is every key that this package writes.
var Schema = store.Schema{
	{Prefix: "st", Kind: store.Decided},
	{Prefix: "ref/", Kind: store.Once},
	{Prefix: "up/", Kind: store.Once},
	{Prefix: "own/", Kind: store.Once},
	{Prefix: "due/", Kind: store.Once},
	{Prefix: "due-low", Kind: store.Decided},
}

const (
	keyState = store.Key("st")
	keyLow   = store.Key("due-low")
	preRef   = store.Key("ref/")
	preUp    = store.Key("up/")
	preOwn   = store.Key("own/")
	preDue   = store.Key("due/")

	partLow = store.Partition("D")

	// Shards spread the due records of one hour over a distributed store.
	shards = 16
	hourMS = 60 * 60 * 1000
)

func partBlob(b message.BlobID) store.Partition { return store.Partition("O/" + string(b[:])) }

func partUploads(a identity.AccountID) store.Partition { return store.Partition("U/" + string(a[:])) }

func partDue(hour uint32, shard byte) store.Partition {
	b := binary.BigEndian.AppendUint32([]byte("D/"), hour)
	return store.Partition(append(b, '/', shard))
}

func shardOf(b message.BlobID) byte { return b[0] % shards }

func hourOf(t identity.Time) uint32 { return uint32(t / hourMS) }

func keyUp(b message.BlobID, o Object) store.Key { return preUpOf(b) + store.Key(o[:]) }

func keyOwn(b message.BlobID, o Object) store.Key { return preOwn + store.Key(b[:]) + store.Key(o[:]) }

func preUpOf(b message.BlobID) store.Key { return preUp + store.Key(b[:]) }

func keyRef(a identity.AccountID, m message.ID) store.Key {
	return preRef + store.Key(a[:]) + store.Key(m[:])
}

func (d due) key() store.Key {
	return preDue + store.Key(d.Blob[:]) + store.Key([]byte{byte(d.Reason)}) + store.Key(d.Nonce[:])
}

func checkSizes(length, segments uint64) error {
	switch {
	case length == 0 || segments == 0:
		return fmt.Errorf("%w: empty blob or segment list", ErrMalformed)
	case length > message.MaxCiphertext || segments > blobs.MaxSegments:
		return ErrLarge
	}
	return nil
}
