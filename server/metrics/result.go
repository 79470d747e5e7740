package metrics

import (
	"errors"

	"github.com/reseal/reseal/store"
)

// result is how a commit ended, in one word.
func result(err error) string {
	var refused *store.Refused
	switch {
	case err == nil:
		return "committed"
	case errors.As(err, &refused):
		return "refused"
	case errors.Is(err, store.ErrUnknown):
		return "unknown"
	}
	return "failed"
}
