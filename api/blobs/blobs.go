// Package blobs has what both sides of a blob transfer must agree on: paths,
// headers, sizes, the JSON bodies and the closed list of refusals. Ciphertext
// too long for a message travels as a blob, by plain HTTP so that any proxy,
// cache of parts and download tool understands it. The normative text is
// spec/blob.md.
//
// The package does no I/O. Its values are plain data.
package blobs

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/reseal/reseal/message"
)

// Sizes and limits, bytes unless said otherwise.
const (
	// PartSize is the size of every part of an upload but the last.
	PartSize = 8 << 20
	// MaxParts is how many parts the longest blob has.
	MaxParts = message.MaxCiphertext / PartSize
	// MaxSegments is the longest list of segment hashes: 32 bytes for each MiB
	// of the longest blob, and room for what stands around them.
	MaxSegments = message.MaxCiphertext>>20*32 + 4096
	// MaxBody is the longest JSON body of a request or an answer.
	MaxBody = 4 << 10
)

// Paths and headers of the protocol. The rest of each path is in [Path].
const (
	// Root is where blobs are created, by POST.
	Root = "/v1/blobs"
	// CapabilityScheme is the Authorization scheme of reads; the capability
	// follows as unpadded base64url.
	CapabilityScheme = "Reseal-Blob"
	// DigestHeader has the SHA-256 of what is uploaded (RFC 9530), see [Digest].
	DigestHeader = "Content-Digest"
)

// Code names a refusal. The list below is closed.
type Code string

// Every refusal, with its HTTP status.
const (
	Malformed      Code = "malformed"        // 400: a field, header or path of the wrong form
	WrongLength    Code = "wrong_length"     // 400: Content-Length is not what the part must have
	WrongHash      Code = "wrong_hash"       // 400: the bytes do not have the digest that was named
	NoSession      Code = "no_session"       // 401: no live session of an account
	Quota          Code = "quota"            // 403: more than the account may store
	NotFound       Code = "not_found"        // 404: no such blob, or not with this capability
	Method         Code = "method"           // 405: no such call on this path
	Slow           Code = "slow"             // 408: the bytes came too slowly
	Conflict       Code = "conflict"         // 409: the id or part is taken by other bytes: use a new id
	MissingParts   Code = "missing_parts"    // 409: complete was asked for too early
	TooLarge       Code = "too_large"        // 413: longer than a blob or list may be
	BadRange       Code = "bad_range"        // 416: not one satisfiable range
	TooManyUploads Code = "too_many_uploads" // 429: too many uploads of the account in progress
	Rate           Code = "rate"             // 429: too fast; Retry-After says when to come back
	Internal       Code = "internal"         // 500: a fault of the server, logged there
	Unavailable    Code = "unavailable"      // 503: the server cannot now; nothing is lost, try again
	StorageFull    Code = "storage_full"     // 507: no room on the server's disk
)

// Status is the HTTP status that goes with c; 500 for what is not in the list.
func (c Code) Status() int {
	for _, e := range Codes {
		if e.Code == c {
			return e.Status
		}
	}
	return 500
}

// Codes is the closed list with the HTTP statuses.
var Codes = [...]struct {
	Code   Code
	Status int
}{
	{Malformed, 400}, {WrongLength, 400}, {WrongHash, 400}, {NoSession, 401}, {Quota, 403},
	{NotFound, 404}, {Method, 405}, {Slow, 408}, {Conflict, 409}, {MissingParts, 409},
	{TooLarge, 413}, {BadRange, 416}, {TooManyUploads, 429}, {Rate, 429}, {Internal, 500},
	{Unavailable, 503}, {StorageFull, 507},
}

// Refusal is the body of every answer with a status of 400 or more.
type Refusal struct {
	Error   Code   `json:"error"`
	Message string `json:"message"` // for people; constant for each code
	// Limit names what is used up, with [Quota] and [Rate]; it may be empty.
	Limit string `json:"limit,omitempty"`
}

// Create is the body of POST [Root]. Bytes are unpadded base64url.
type Create struct {
	ID         string `json:"id"`         // 32 random bytes
	Length     uint64 `json:"length"`     // of the ciphertext, 1 to message.MaxCiphertext
	Segments   uint64 `json:"segments"`   // length of the segment list, 1 to MaxSegments
	Capability string `json:"capability"` // SHA-256 of the capability, 32 bytes
}

// Status answers POST [Root], GET of a blob's path, and complete.
type Status struct {
	Complete bool   `json:"complete"`
	Length   uint64 `json:"length"`
	PartSize uint64 `json:"part_size"`
	Segments bool   `json:"segments"` // the segment list is there
	// Parts has one bit for each part, the first in the highest bit of the
	// first byte: 1 for a part that is stored durably. Unpadded base64url;
	// empty once complete.
	Parts string `json:"parts"`
}

// ErrEncoding is returned for text that is not the one encoding of its bytes.
var ErrEncoding = errors.New("blobs: malformed encoding")

var text = base64.RawURLEncoding.Strict()

// EncodeBytes is unpadded base64url.
func EncodeBytes(b []byte) string { return text.EncodeToString(b) }

// DecodeBytes32 reads exactly 32 bytes in unpadded base64url.
func DecodeBytes32(s string) (b [32]byte, err error) {
	if len(s) != text.EncodedLen(len(b)) {
		return b, ErrEncoding
	}
	raw, err := text.DecodeString(s)
	if err != nil || len(raw) != len(b) || text.EncodeToString(raw) != s {
		return b, ErrEncoding
	}
	return [32]byte(raw), nil
}

// Parts is the number of parts of a blob of length bytes.
func Parts(length uint64) int { return int((length + PartSize - 1) / PartSize) }

// PartLength is the length of part n of a blob of length bytes; 0 if it has
// no such part.
func PartLength(length uint64, n int) int64 {
	if n < 0 || n >= Parts(length) {
		return 0
	}
	return int64(min(PartSize, length-uint64(n)*PartSize))
}

// Bitmap has one bit for each part; see [Status].
type Bitmap []byte

// NewBitmap is a bitmap for n parts, none there.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+7)/8) }

// Set marks part n as there.
func (m Bitmap) Set(n int) { m[n/8] |= 0x80 >> (n % 8) }

// Has reports whether part n is there; false beyond the end.
func (m Bitmap) Has(n int) bool { return n/8 < len(m) && m[n/8]&(0x80>>(n%8)) != 0 }

// String is the bitmap as in [Status].
func (m Bitmap) String() string { return EncodeBytes(m) }

// ParseBitmap reads the bitmap of a blob with n parts.
func ParseBitmap(s string, n int) (Bitmap, error) {
	b, err := text.DecodeString(s)
	if err != nil || len(b) != (n+7)/8 || text.EncodeToString(b) != s {
		return nil, ErrEncoding
	}
	if n%8 != 0 && b[len(b)-1]&(0xff>>(n%8)) != 0 {
		return nil, ErrEncoding // bits of parts that do not exist
	}
	return b, nil
}

const digestPrefix = "sha-256=:"

// Digest is the value of [DigestHeader] for bytes with this SHA-256.
func Digest(sum [sha256.Size]byte) string {
	return digestPrefix + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// ParseDigest reads a value made by [Digest]; no other form is accepted.
func ParseDigest(s string) (sum [sha256.Size]byte, err error) {
	mid, ok := strings.CutPrefix(s, digestPrefix)
	mid, end := strings.CutSuffix(mid, ":")
	if !ok || !end || len(mid) != base64.StdEncoding.EncodedLen(len(sum)) {
		return sum, ErrEncoding
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(mid)
	if err != nil || len(raw) != len(sum) {
		return sum, ErrEncoding
	}
	return [sha256.Size]byte(raw), nil
}
