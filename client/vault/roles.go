package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/reseal/reseal/capsule"
)

// hidden is how every secret of this package prints.
const hidden = "hidden"

// nonce is a slot's random name, 32 bytes, in clear. It stays when the section
// is resealed, since the name of its server share follows from it.
type nonce [32]byte

// fileTag marks a slot for who has the row key, 32 bytes.
type fileTag [32]byte

// localShare is the half of a section's key that lies in the file, 32 bytes.
type localShare [32]byte

// shareMark tells in the file which server share a section is sealed under, 16
// bytes. Without the share's value, which lies at the server sealed, it says
// nothing: the share's id, in its place, would name the server's row to whoever
// has both.
type shareMark [16]byte

// SessionShare is the server's half of the key that seals a session record,
// 32 random bytes. The server releases it to a live session only.
type SessionShare [32]byte

// Token is a session's bearer token, 1 to 256 bytes.
type Token []byte

// String returns "hidden".
func (SessionShare) String() string { return hidden }

// GoString returns "hidden".
func (SessionShare) GoString() string { return hidden }

// Format writes "hidden" for every verb.
func (SessionShare) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// LogValue returns "hidden".
func (SessionShare) LogValue() slog.Value { return slog.StringValue(hidden) }

// String returns "hidden".
func (Token) String() string { return hidden }

// GoString returns "hidden".
func (Token) GoString() string { return hidden }

// Format writes "hidden" for every verb.
func (Token) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// LogValue returns "hidden".
func (Token) LogValue() slog.Value { return slog.StringValue(hidden) }

// currentTag marks the section that an account uses (K_row, spec/shares.md).
func currentTag(k capsule.RowKey, n nonce) fileTag { return rowMAC(k, "file", n) }

// asideTag marks a section that was set aside. It is a tag of its own, so that
// the account still knows the section and never takes it for the current one.
func asideTag(k capsule.RowKey, n nonce) fileTag { return rowMAC(k, "aside", n) }

// rowID names the section's share at the server, unlike any file tag, so that
// who has both the file and the store cannot match them.
func rowID(k capsule.RowKey, n nonce) capsule.RowID { return rowMAC(k, "server", n) }

// markOf is the mark of a server share at a slot.
func markOf(s capsule.Share, n nonce) shareMark {
	key := s.Value.Bytes()
	defer clear(key[:])
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte("reseal/1 share mark\x00"))
	m.Write(n[:])
	m.Write(s.ID[:])
	return shareMark(m.Sum(nil)[:16])
}

func rowMAC(k capsule.RowKey, what string, n nonce) (out [32]byte) {
	key := k.Bytes()
	defer clear(key[:])
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte("reseal/1 row " + what + "\x00"))
	m.Write(n[:])
	m.Sum(out[:0])
	return out
}

// serial lets one source of randomness serve several sections: two that read
// it at once could draw the same bytes.
type serial struct {
	mu sync.Mutex
	r  io.Reader
}

func (s *serial) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Read(b)
}
