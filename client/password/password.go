// Package password says what a password may be: its normal form, in which
// OPAQUE takes it, and whether it is strong enough to be set (spec/login.md,
// "Passwords").
//
// OPAQUE keeps the password from the server, but who has the server's records
// and its key file can guess. So a weak password is refused where it is set,
// with the reason; at a login no strength is asked for.
//
// The package keeps no state and everything in it is safe for concurrent use.
package password

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/reseal/reseal/client/password/internal/guess"
	"github.com/reseal/reseal/handle"
)

const (
	// MinChars is the fewest characters of a password that is set.
	MinChars = 8
	// MaxSize is the longest password in normal form, bytes. It is that of
	// package opaque.
	MaxSize = 1 << 10
	// MinGuesses is how many guesses a password that is let pass takes at the
	// least, by the estimate of zxcvbn.
	MinGuesses = 2e10
	// judged is how much of a password is looked at: the estimate takes time
	// that grows faster than the length, and this much is strong enough or not.
	judged = guess.MaxSize
)

// Err is returned for text that cannot be a password at all: empty, above
// MaxSize bytes, not UTF-8, or with control characters, which keyboards do not
// send and terminals do by accident.
var Err = errors.New("password: not usable as a password")

// Weak is the error for a password that is too easy to guess.
type Weak struct {
	// Reason is a sentence without a full stop. It never quotes the password.
	Reason string
	// Suggestions are what would help, a sentence each, at least one.
	Suggestions []string
}

// Error is the reason.
func (w *Weak) Error() string { return "password: too weak: " + w.Reason }

// Normal is s in Unicode normal form NFC, as OPAQUE takes it, so that the same
// keys pressed on two systems are the same password. Nothing is trimmed or
// folded. Errors: [Err].
func Normal(s string) ([]byte, error) {
	if s == "" || len(s) > 4*MaxSize || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return nil, Err
	}
	b := norm.NFC.AppendString(nil, s)
	if len(b) > MaxSize {
		return nil, Err
	}
	return b, nil
}

// Check is Normal for a password that is to be set. h and the other words are
// known to whoever guesses, so that they count for nothing. Errors: [Err],
// *[Weak].
func Check(s string, h handle.Handle, others ...string) ([]byte, error) {
	b, err := Normal(s)
	if err != nil {
		return nil, err
	}
	if n := utf8.RuneCount(b); n < MinChars {
		return nil, &Weak{
			Reason:      fmt.Sprintf("it has %d characters, at least %d are needed", n, MinChars),
			Suggestions: []string{more},
		}
	}
	text := []rune(string(b))
	text = text[:min(len(text), judged)]
	once := period(text)
	guesses, parts := estimate(string(once), append([]string{string(h), "reseal"}, others...))
	switch {
	case number(text):
		return nil, &Weak{
			Reason:      "it is a date or a number",
			Suggestions: []string{more, "Avoid dates, telephone numbers and the like."},
		}
	case guesses >= MinGuesses:
		return b, nil
	case len(once) < len(text):
		return nil, &Weak{
			Reason:      "it is something short, repeated",
			Suggestions: []string{more, "Avoid repeating characters or words."},
		}
	}
	return nil, explain(parts)
}

const more = "Use four or more words that do not belong together."

// period is the shortest text whose repetition s is, s itself if it is none.
// The estimator sees repeated single characters only.
func period(s []rune) []rune {
	for n := 1; n <= len(s)/2; n++ {
		if slices.Equal(s[n:], s[:len(s)-n]) {
			return s[:n]
		}
	}
	return s
}

// number reports whether s has nothing but separators and at most 12 digits:
// the estimator misses most dates.
func number(s []rune) bool {
	digits := 0
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digits++
		case !strings.ContainsRune("+-./:_ ", r):
			return false
		}
	}
	return digits <= 12
}

// estimate asks package guess, which counts bytes and knows English. A character
// beyond ASCII is given to it as one letter, the next one as the next letter: so
// three bytes of UTF-8 do not pass for three characters, and repeats and
// sequences are seen in every script. Words of other languages are not.
func estimate(s string, known []string) (float64, []guess.Part) {
	ascii := make([]byte, 0, len(s))
	for _, r := range s {
		if r > unicode.MaxASCII {
			r = 'a' + r%26
		}
		ascii = append(ascii, byte(r))
	}
	return guess.Estimate(string(ascii), known)
}

// explain names what the longest guessable part is.
func explain(parts []guess.Part) *Weak {
	var longest guess.Part
	for _, p := range parts {
		if p.Kind != guess.Random && p.End-p.Start >= longest.End-longest.Start {
			longest = p
		}
	}
	w := &Weak{Suggestions: []string{more}}
	switch longest.Kind {
	case guess.Known:
		w.Reason = "much of it is your handle, or known of you otherwise"
		w.Suggestions = append(w.Suggestions, "Leave out names and handles.")
	case guess.Word:
		w.Reason = "much of it is a common password, word or name"
		w.Suggestions = append(w.Suggestions, "Digits in place of letters and capitals do not help much.")
	case guess.Keys:
		w.Reason = "much of it is a row of keys"
		w.Suggestions = append(w.Suggestions, "Avoid rows of keys on the keyboard.")
	case guess.Repeat:
		w.Reason = "much of it is something short, repeated"
		w.Suggestions = append(w.Suggestions, "Avoid repeating characters or words.")
	case guess.Sequence:
		w.Reason = "much of it is a sequence, as in abcd or 6543"
		w.Suggestions = append(w.Suggestions, "Avoid sequences.")
	case guess.Date:
		w.Reason = "much of it is a date or a year"
		w.Suggestions = append(w.Suggestions, "Avoid dates, telephone numbers and the like.")
	default:
		w.Reason = "it is too short to be hard to guess"
	}
	return w
}
