package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
)

// Sizes and limits of the file, in bytes (spec/shares.md, "Client database
// file").
const (
	version = 1

	headerSize = 32
	headSize   = 128
	tagSize    = 16

	minSlots, maxSlots       = 8, 1 << 10
	minSlotSize, maxSlotSize = 1 << 16, 1 << 26

	// firstSlots is how many slots a new file has, firstTaken the most of them
	// that are taken from the start: the first firstSlots-firstTaken sections
	// change neither the length nor, for certain, what the count may be.
	firstSlots, firstTaken = 16, 8

	// MaxName and MaxValue bound one record, MaxBatch the encoding of one
	// Commit, MaxSection the encoding of all of a section's records.
	MaxName    = 512
	MaxValue   = 1 << 20
	MaxBatch   = 8 << 20
	MaxSection = maxSlotSize - headSize - tagSize
)

const vaultMagic = "reseal vault" // 12 bytes

// header is the head of the vault file.
type header struct {
	slots int // a power of two
	size  int // of one slot, a power of two
	// taken is how many slots, from the first on, may hold a section: those
	// that do, and 1 to firstTaken decoys, whose number nobody knows any more.
	// The rest is known to be free. No program without keys can tell a section
	// from a decoy, this one included (spec, "Decoys").
	taken int
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, vaultMagic...)
	b = binary.BigEndian.AppendUint16(b, version)
	b = append(b, byte(bits.TrailingZeros(uint(h.slots))), byte(bits.TrailingZeros(uint(h.size))))
	b = binary.BigEndian.AppendUint32(b, uint32(h.taken))
	sum := sha256.Sum256(b)
	return append(b, sum[:headerSize-len(b)]...)
}

// parseHeader reads a header. The version comes before everything but the
// magic, since nothing else is known of a newer one.
func parseHeader(b []byte) (header, error) {
	s := cryptobyte.String(b)
	var magic []byte
	var v uint16
	var slots, size uint8
	var taken uint32
	if !s.ReadBytes(&magic, len(vaultMagic)) || string(magic) != vaultMagic || !s.ReadUint16(&v) || v == 0 {
		return header{}, damaged(vaultName, "no vault")
	}
	if v > version {
		return header{}, newer(vaultName)
	}
	if !s.ReadUint8(&slots) || !s.ReadUint8(&size) || !s.ReadUint32(&taken) || slots > 30 || size > 30 {
		return header{}, damaged(vaultName, "header")
	}
	h := header{1 << slots, 1 << size, int(taken)}
	if h.slots < minSlots || h.slots > maxSlots || h.size < minSlotSize || h.size > maxSlotSize ||
		h.taken < 1 || h.taken > h.slots || !bytes.Equal(h.encode(), b) {
		return header{}, damaged(vaultName, "header")
	}
	return h, nil
}

func (h header) fileSize() int64       { return headerSize + int64(h.slots)*int64(h.size) }
func (h header) offset(slot int) int64 { return headerSize + int64(slot)*int64(h.size) }

// head is the public part of a slot: nonce 32, file tag 32, share mark 16, local
// share 32, check 16. The check is a plain hash against damage: it holds for
// decoys too, so it tells nothing.
type head [headSize]byte

func makeHead(n nonce, tag fileTag, mark shareMark, local localShare) (h head) {
	b := append(h[:0], n[:]...)
	b = append(b, tag[:]...)
	b = append(b, mark[:]...)
	b = append(b, local[:]...)
	sum := sha256.Sum256(b)
	copy(h[len(b):], sum[:])
	return h
}

func (h *head) nonce() nonce      { return nonce(h[:32]) }
func (h *head) tag() fileTag      { return fileTag(h[32:64]) }
func (h *head) mark() shareMark   { return shareMark(h[64:80]) }
func (h *head) local() localShare { return localShare(h[80:112]) }
func (h *head) intact() bool      { return *h == makeHead(h.nonce(), h.tag(), h.mark(), h.local()) }

// journalHash names the journal of the section in this state. It takes no key,
// so that a stale journal can be recognised without one.
func (h *head) journalHash() [32]byte {
	n, l := h.nonce(), h.local()
	b := append([]byte("reseal/1 journal name"), n[:]...)
	return sha256.Sum256(append(b, l[:]...))
}
