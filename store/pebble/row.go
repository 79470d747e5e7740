package pebble

import (
	"encoding/binary"
	"fmt"

	"github.com/reseal/reseal/store"
)

// row is one record as it lies in the database. The zero row is absent.
type row struct {
	kind    store.Kind
	rev     uint64
	expires int64
	token   store.Token
	value   []byte
}

// Bytes of a row before its value.
const (
	onceHead    = 1 + 8 + 8
	decidedHead = onceHead + len(store.Token{})
)

// size is how long the encoded row is, bytes.
func (r row) size() int {
	if r.kind == store.Decided {
		return decidedHead + len(r.value)
	}
	return onceHead + len(r.value)
}

func (r row) encode() []byte { return r.appendTo(make([]byte, 0, r.size())) }

func (r row) appendTo(b []byte) []byte {
	b = append(b, byte(r.kind))
	b = binary.BigEndian.AppendUint64(b, r.rev)
	b = binary.BigEndian.AppendUint64(b, uint64(r.expires))
	if r.kind == store.Decided {
		b = append(b, r.token[:]...)
	}
	return append(b, r.value...)
}

// decodeRow reads what encode wrote. The value is a part of b.
func decodeRow(b []byte) (r row, err error) {
	if len(b) < onceHead {
		return row{}, fmt.Errorf("%w: row of %d bytes", store.ErrDamaged, len(b))
	}
	r.kind = store.Kind(b[0])
	r.rev = binary.BigEndian.Uint64(b[1:])
	r.expires = int64(binary.BigEndian.Uint64(b[9:]))
	head := onceHead
	switch {
	case r.kind == store.Once:
	case r.kind == store.Decided && len(b) >= decidedHead:
		copy(r.token[:], b[onceHead:])
		head = decidedHead
	default:
		return row{}, fmt.Errorf("%w: row of kind %d, %d bytes", store.ErrDamaged, b[0], len(b))
	}
	r.value = b[head:]
	if r.rev == 0 || r.expires < 0 || len(r.value) > store.MaxValue {
		return row{}, fmt.Errorf("%w: row with revision %d, expiry %d", store.ErrDamaged, r.rev, r.expires)
	}
	return r, nil
}

// record is r for the caller, who gets bytes of its own.
func (r row) record(k store.Key, keysOnly bool) store.Record {
	rec := store.Record{Key: k, Rev: r.rev, Expires: r.expires, Token: r.token}
	if !keysOnly {
		rec.Value = append([]byte{}, r.value...)
	}
	return rec
}
