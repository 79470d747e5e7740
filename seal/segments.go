package seal

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/reseal/reseal/identity"
	"golang.org/x/crypto/cryptobyte"
)

// A segment is 64 chunks, 1 MiB of plaintext, so that no chunk lies in two. The
// salt and the commitment are in none: the list has them itself.
const (
	segmentChunks = 64
	segmentSize   = segmentChunks * boxSize // ciphertext; the last is shorter
	hashSize      = 32

	digestLabel = "reseal/1 content digest\x00"
	listFixed   = 2 + 16 + 8 + 8 + saltSize + commitmentSize + 4

	// MaxSegmentList is the longest segment list, bytes, a little over 2 MiB.
	MaxSegmentList = listFixed + hashSize*((MaxPadded/chunkSize+1+segmentChunks-1)/segmentChunks)
)

// Segments is a segment list that matched its digest: whatever is read under it
// is what the sender of the digest sealed. It is not changed after it was
// parsed and safe for concurrent use.
type Segments struct {
	content    ContentID
	created    identity.Time
	length     uint64
	salt       [saltSize]byte
	commitment [commitmentSize]byte
	hashes     []byte

	padded uint64
}

// ParseSegments reads the segment list stored beside a ciphertext. The digest, from
// an opened wrap, is checked before anything is parsed. It keeps no reference to
// list. Error: [ErrOpen].
func ParseSegments(list []byte, digest Digest) (*Segments, error) {
	if len(list) > MaxSegmentList {
		return nil, ErrOpen
	}
	if got := digestOf(list); subtle.ConstantTimeCompare(got[:], digest[:]) != 1 {
		return nil, ErrOpen
	}
	return parseList(list)
}

// Length is the length of the ciphertext, bytes.
func (s *Segments) Length() uint64 { return s.length }

// Content is the content's id, authentic as far as the digest is.
func (s *Segments) Content() ContentID { return s.content }

// Created is when the sender says that the content was sealed.
func (s *Segments) Created() identity.Time { return s.created }

func (s *Segments) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, listFixed+len(s.hashes)))
	b.AddUint16(suite)
	b.AddBytes(s.content[:])
	b.AddUint64(uint64(s.created))
	b.AddUint64(s.length)
	b.AddBytes(s.salt[:])
	b.AddBytes(s.commitment[:])
	b.AddUint32(uint32(len(s.hashes)))
	b.AddBytes(s.hashes)
	return b.BytesOrPanic()
}

func digestOf(list []byte) Digest {
	h := sha256.New()
	h.Write([]byte(digestLabel))
	h.Write(list)
	return Digest(h.Sum(nil))
}

func parseList(list []byte) (*Segments, error) {
	var (
		r       = cryptobyte.String(list)
		s       Segments
		version uint16
		created uint64
		hashes  cryptobyte.String
	)
	if len(list) > MaxSegmentList ||
		!r.ReadUint16(&version) || version != suite ||
		!r.CopyBytes(s.content[:]) || s.content == (ContentID{}) ||
		!r.ReadUint64(&created) || created == 0 || created > uint64(maxTime) ||
		!r.ReadUint64(&s.length) ||
		!r.CopyBytes(s.salt[:]) ||
		!r.CopyBytes(s.commitment[:]) ||
		!readVector32(&r, &hashes) ||
		!r.Empty() {
		return nil, ErrOpen
	}
	padded, ok := plainLen(s.length)
	if !ok || padded > MaxPadded || padded != paddedLen(padded) ||
		uint64(len(hashes)) != segmentCount(padded)*hashSize {
		return nil, ErrOpen
	}
	s.created, s.padded = identity.Time(created), padded
	s.hashes = append([]byte(nil), hashes...)
	return &s, nil
}

// segmentCount is the number of segments of a plaintext of n bytes, padded.
func segmentCount(n uint64) uint64 {
	return (chunkCount(n) + segmentChunks - 1) / segmentChunks
}

func (s *Segments) count() uint64 { return uint64(len(s.hashes) / hashSize) }

// span is where segment i lies in the ciphertext.
func (s *Segments) span(i uint64) (off uint64, n int) {
	off = headSize + i*segmentSize
	return off, int(min(segmentSize, s.length-off))
}

// matches reports whether b is segment i.
func (s *Segments) matches(i uint64, b []byte) bool {
	got := sha256.Sum256(b)
	return subtle.ConstantTimeCompare(got[:], s.hashes[i*hashSize:][:hashSize]) == 1
}
