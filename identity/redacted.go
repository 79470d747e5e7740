package identity

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is embedded in every private key, so that no verb of fmt, no logger
// and no error text ever holds one.
type redacted struct{}

const hidden = "hidden"

// String hides the key.
func (redacted) String() string { return hidden }

// GoString hides the key.
func (redacted) GoString() string { return hidden }

// Format hides the key from every verb: without it %d prints the fields.
func (redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue hides the key.
func (redacted) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the key from encoders.
func (redacted) MarshalText() ([]byte, error) { return []byte(hidden), nil }
