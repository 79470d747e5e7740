package world

import (
	"context"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

// Blobs is a blob store in memory. A blob goes with its last reference.
type Blobs struct{ blobs map[string]*blob }

type blob struct {
	bytes      []byte
	capability [32]byte // its hash
	refs       map[message.ID]bool
}

// AddReference implements mailbox.Blobs.
func (b *Blobs) AddReference(_ context.Context, id message.BlobID, capability [32]byte, _ identity.AccountID, m message.ID, _ identity.Time) error {
	x := b.blobs[string(id[:])]
	if x == nil || x.capability != seal.Capability(capability).Hash() {
		return refusal.New(resealv1.Reason_REASON_UNKNOWN_BLOB)
	}
	x.refs[m] = true
	return nil
}

// DropReference implements mailbox.Blobs.
func (b *Blobs) DropReference(_ context.Context, id message.BlobID, _ identity.AccountID, m message.ID) error {
	x := b.blobs[string(id[:])]
	if x == nil {
		return nil
	}
	if delete(x.refs, m); len(x.refs) == 0 {
		delete(b.blobs, string(id[:]))
	}
	return nil
}

func (b *Blobs) put(id message.BlobID, bytes []byte, hash [32]byte) {
	if b.blobs[string(id[:])] == nil {
		b.blobs[string(id[:])] = &blob{bytes, hash, map[message.ID]bool{}}
	}
}

// Blob is what lies under an id, nil for nothing.
func (w *World) Blob(id message.BlobID) []byte {
	if x := w.blobs.blobs[string(id[:])]; x != nil {
		return x.bytes
	}
	return nil
}
