package capsule

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "hidden"

// redacted is embedded in every secret, so that no verb of fmt, no logger and
// no encoder ever shows one.
type redacted struct{}

// String hides the secret.
func (redacted) String() string { return hidden }

// GoString hides the secret.
func (redacted) GoString() string { return hidden }

// Format hides the secret from every verb: without it %d prints the bytes.
func (redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue hides the secret.
func (redacted) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret from encoders.
func (redacted) MarshalText() ([]byte, error) { return []byte(hidden), nil }
