package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
)

// hidden is how every secret of this package prints.
const hidden = "hidden"

// nonce is a slot's public random name, 32 bytes.
type nonce [32]byte

// localShare is the half of a section's key that lies in the file, 32 bytes.
type localShare [32]byte

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

// The labels under which a row key names a slot. "aside" is a name of its own,
// so that a section that was set aside is still known to its account and is
// never taken for the current one.
const (
	labelFile   = "file"
	labelServer = "server"
	labelAside  = "aside"
)

func rowMAC(key []byte, label string, n nonce) (out [32]byte) {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(label))
	m.Write(n[:])
	m.Sum(out[:0])
	return out
}
