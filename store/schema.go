package store

import (
	"fmt"
	"strings"
)

// Kind is how a record may be written; see the package documentation.
type Kind uint8

// The two kinds.
const (
	Decided Kind = 1
	Once    Kind = 2
)

// String is "decided" or "once".
func (k Kind) String() string {
	switch k {
	case Decided:
		return "decided"
	case Once:
		return "once"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Rule gives a kind to keys. A Prefix that ends in '/' stands for all keys that
// start with it; any other stands for exactly that key, so that a misspelt key
// is an error and not a new record of the same kind.
type Rule struct {
	Prefix string
	Kind   Kind
}

// Schema is every key that may exist, in any partition. Only add to it: a rule
// that changed its kind would let plain and conditional writes meet on a
// record.
type Schema []Rule

// Check reports a schema that gives a key two rules, or a rule without prefix
// or kind, as [ErrKind]. Engines call it when they are opened.
func (s Schema) Check() error {
	for i, r := range s {
		if r.Prefix == "" || len(r.Prefix) > MaxKey || (r.Kind != Decided && r.Kind != Once) {
			return fmt.Errorf("%w: rule %q is incomplete", ErrKind, r.Prefix)
		}
		for _, other := range s[:i] {
			if r.covers(Key(other.Prefix)) || other.covers(Key(r.Prefix)) {
				return fmt.Errorf("%w: rules %q and %q overlap", ErrKind, r.Prefix, other.Prefix)
			}
		}
	}
	return nil
}

func (r Rule) covers(k Key) bool {
	if strings.HasSuffix(r.Prefix, "/") {
		return strings.HasPrefix(string(k), r.Prefix)
	}
	return string(k) == r.Prefix
}

// KindOf returns the kind of k, or [ErrKind].
func (s Schema) KindOf(k Key) (Kind, error) {
	for _, r := range s {
		if r.covers(k) {
			return r.Kind, nil
		}
	}
	return 0, fmt.Errorf("%w: no rule for %q", ErrKind, clip(k))
}

// clip keeps keys in errors short; they hold raw ids.
func clip(k Key) Key {
	if len(k) > 12 {
		return k[:12] + "..."
	}
	return k
}
