package retry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"golang.org/x/crypto/cryptobyte"
)

// Sizes and limits of a request.
const (
	// Version is the record version that this package writes and reads.
	Version uint16 = 1
	// MaxMessages is how many messages one request asks for.
	MaxMessages = 256
	// MinSize and MaxSize bound an encoded signed request, bytes.
	MinSize = fixedSize + idSize + sigSize
	MaxSize = fixedSize + MaxMessages*idSize + sigSize

	fixedSize = 2 + 16 + 16 + 32 + 8 + 32 + 16 + 16 + 2
	idSize    = len(message.ID{})
	sigSize   = 64

	signedName = "retry request"
	idLabel    = "reseal/1 retry request id"
)

var (
	// ErrMalformed is returned for bytes that are no signed request.
	ErrMalformed = errors.New("retry: malformed request")
	// ErrVersion is returned for a request of a version above [Version].
	ErrVersion = errors.New("retry: request of a newer version")
	// ErrSignature is returned for a request that the device did not sign.
	ErrSignature = errors.New("retry: request is not signed by the device")
)

// RequestID names a request: the hash of its signed part, so that a repeat,
// which is the same bytes, has the same id.
type RequestID [32]byte

// String is 64 lower-case hexadecimal digits.
func (id RequestID) String() string { return hex.EncodeToString(id[:]) }

// Nonce makes two requests of one device for the same messages two requests.
type Nonce [16]byte

// NewNonce reads a fresh nonce from rand.
func NewNonce(rand io.Reader) (n Nonce, err error) {
	_, err = io.ReadFull(rand, n[:])
	return n, err
}

// Request asks for wraps of messages that Device has no good wrap for.
type Request struct {
	Account identity.AccountID
	Device  identity.DeviceID
	// The epoch certificate to wrap for; the request is good as long as it.
	Cert identity.CertHash
	// The newest list of Account that the device knows.
	ListVersion uint64
	ListHash    identity.ListHash
	// The account addressed: the messages' sender, or Account itself for
	// holders' copies.
	To    identity.AccountID
	Nonce Nonce
	// 1 to MaxMessages, sorted, each once.
	Messages []message.ID
}

// Validate returns [ErrMalformed] for a request that must not be signed or
// accepted.
func (r *Request) Validate() error {
	switch {
	case r.Account.IsZero() || r.Device.IsZero() || r.To.IsZero():
		return malformed("party")
	case len(r.Messages) == 0 || len(r.Messages) > MaxMessages:
		return malformed("message count")
	}
	for i := 1; i < len(r.Messages); i++ {
		if bytes.Compare(r.Messages[i-1][:], r.Messages[i][:]) >= 0 {
			return malformed("message order")
		}
	}
	return nil
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

func (r *Request) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, fixedSize+len(r.Messages)*idSize+sigSize))
	b.AddUint16(Version)
	b.AddBytes(r.Account[:])
	b.AddBytes(r.Device[:])
	b.AddBytes(r.Cert[:])
	b.AddUint64(r.ListVersion)
	b.AddBytes(r.ListHash[:])
	b.AddBytes(r.To[:])
	b.AddBytes(r.Nonce[:])
	b.AddUint16(uint16(len(r.Messages) * idSize))
	for _, id := range r.Messages {
		b.AddBytes(id[:])
	}
	return b.BytesOrPanic()
}

// SignedRequest is a request with its signature, as it travels.
type SignedRequest struct {
	Request
	raw []byte // as received: body, then 64 bytes of signature
}

// SignRequest validates r and signs it with the key of r.Device.
func SignRequest(r Request, key identity.DeviceKey) (*SignedRequest, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	r.Messages = slices.Clone(r.Messages)
	body := r.encode()
	sig := key.Sign(signedName, body)
	return &SignedRequest{Request: r, raw: append(body, sig[:]...)}, nil
}

// ParseRequest reads a signed request without checking the signature: enough to
// route it, not to answer it. Errors: [ErrVersion], [ErrMalformed].
func ParseRequest(b []byte) (*SignedRequest, error) {
	s := cryptobyte.String(b)
	var v uint16
	switch {
	case !s.ReadUint16(&v) || v == 0:
		return nil, malformed("version")
	case v > Version:
		return nil, ErrVersion
	case len(b) < MinSize || len(b) > MaxSize:
		return nil, malformed("size")
	}
	r := &SignedRequest{raw: bytes.Clone(b)}
	var ids cryptobyte.String
	var sig [sigSize]byte
	ok := s.CopyBytes(r.Account[:]) && s.CopyBytes(r.Device[:]) && s.CopyBytes(r.Cert[:]) &&
		s.ReadUint64(&r.ListVersion) && s.CopyBytes(r.ListHash[:]) && s.CopyBytes(r.To[:]) &&
		s.CopyBytes(r.Nonce[:]) && s.ReadUint16LengthPrefixed(&ids) && s.CopyBytes(sig[:]) && s.Empty()
	if !ok || len(ids)%idSize != 0 {
		return nil, malformed("size")
	}
	r.Messages = make([]message.ID, len(ids)/idSize)
	for i := range r.Messages {
		ids.CopyBytes(r.Messages[i][:])
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// Bytes returns the encoded signed request as it was received or signed.
func (r *SignedRequest) Bytes() []byte { return bytes.Clone(r.raw) }

// ID is the request's id. It does not cover the signature, of which a device
// could make several.
func (r *SignedRequest) ID() RequestID {
	h := sha256.New()
	h.Write([]byte(idLabel))
	h.Write([]byte{0})
	h.Write(r.body())
	return RequestID(h.Sum(nil))
}

func (r *SignedRequest) body() []byte { return r.raw[:len(r.raw)-sigSize] }

// Verify checks the signature with the device's key, which the caller took from
// a verified list. Error: [ErrSignature].
func (r *SignedRequest) Verify(key identity.DevicePublic) error {
	sig := identity.Signature(r.raw[len(r.raw)-sigSize:])
	if key.Verify(signedName, r.body(), sig) != nil {
		return ErrSignature
	}
	return nil
}

// Batches sorts ids, drops repetitions, and splits them into lists that each
// fit one request. It returns nil for no ids and leaves its argument alone.
func Batches(ids []message.ID) [][]message.ID {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, compareIDs)
	ids = slices.Compact(ids)
	return slices.Collect(slices.Chunk(ids, MaxMessages))
}

func compareIDs(a, b message.ID) int { return bytes.Compare(a[:], b[:]) }
