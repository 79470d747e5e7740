package link

import (
	"fmt"
	"log/slog"
)

// Token is the session token, a secret: who has it is the device. It prints as
// "hidden". The zero value is no token: calls before login.
type Token struct{ secret string }

// NewToken wraps a token as the server gave it: 1 to 512 printable ASCII
// characters without spaces; anything else is refused by Open.
func NewToken(secret string) Token { return Token{secret} }

// IsZero reports whether there is no token.
func (t Token) IsZero() bool { return t.secret == "" }

func (t Token) valid() bool {
	if len(t.secret) > 512 {
		return false
	}
	for i := range len(t.secret) {
		if t.secret[i] <= 0x20 || t.secret[i] > 0x7e {
			return false
		}
	}
	return true
}

const hidden = "hidden"

// String is "hidden".
func (Token) String() string { return hidden }

// GoString is "hidden".
func (Token) GoString() string { return hidden }

// Format writes "hidden" for every verb.
func (Token) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(hidden)) }

// LogValue is "hidden".
func (Token) LogValue() slog.Value { return slog.StringValue(hidden) }
