package records

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/store"
)

// AcquaintedDays is how many days a period has: that an account knows another
// is kept for the period in which it showed, and the next.
const AcquaintedDays = 30

// PairHash names two accounts, in this order, to who knows both ids: a store
// that is stolen later does not tell from it who knew whom that is gone.
type PairHash [16]byte

// Pair is the hash of who knows whom.
func Pair(who, whom identity.AccountID) PairHash {
	h := sha256.New()
	h.Write([]byte("reseal/1 acquainted\x00"))
	h.Write(who[:])
	h.Write(whom[:])
	return PairHash(h.Sum(nil)[:len(PairHash{})])
}

// PeriodOf is the period that a time lies in.
func PeriodOf(t identity.Time) uint32 { return t.Day() / AcquaintedDays }

// PeriodEnd is when a period is over.
func PeriodEnd(period uint32) identity.Time {
	return identity.Time(0).Add(time.Duration(period+1) * AcquaintedDays * 24 * time.Hour)
}

// AcquaintedKey says that an account has shown, in a period, that it knows
// another: it wrote to it, or sent a receipt for a message of it.
func AcquaintedKey(period uint32, p PairHash) store.Key {
	return Acquainted + store.Key(binary.BigEndian.AppendUint32(nil, period)) + store.Key(p[:])
}

// EncodeAcquainted returns the value of `knows/`.
func EncodeAcquainted() []byte { return build(func(*cryptobyte.Builder) {}) }

// ParseAcquainted reads it; there is only one.
func ParseAcquainted(v []byte) (struct{}, error) {
	return struct{}{}, parse(v, func(*cryptobyte.String) bool { return true })
}

// Strangers are the accounts that an account wrote to on a day without their
// having shown that they know it.
type Strangers struct {
	Day  uint32
	Whom []PairHash
}

// Encode returns the value of `strangers`.
func (r Strangers) Encode() []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddUint32(r.Day)
		b.AddUint32LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, p := range r.Whom {
				b.AddBytes(p[:])
			}
		})
	})
}

// ParseStrangers reads the value of `strangers`.
func ParseStrangers(v []byte) (r Strangers, err error) {
	err = parse(v, func(s *cryptobyte.String) bool {
		var n uint32
		if !s.ReadUint32(&r.Day) || !s.ReadUint32(&n) || int64(n) != int64(len(*s)) || n%uint32(len(PairHash{})) != 0 {
			return false
		}
		for !s.Empty() {
			var p PairHash
			s.CopyBytes(p[:])
			r.Whom = append(r.Whom, p)
		}
		return true
	})
	return r, err
}
