// Package guess estimates how many guesses a password takes.
//
// The method, the lists of words and the scoring are those of zxcvbn (Wheeler,
// "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security 2016) in
// the library github.com/trustelem/zxcvbn. What is ours is the looking for
// matches: the library's package for it builds tables of 90,000 words, 10 MB, in
// every process at its start, and most processes never set a password. Here the
// lists are walked when a password is looked at, and nothing is kept. Everything
// that the library finds is found here, and some more, so that an estimate is
// never above the library's; a test compares them.
//
// The package keeps no state and everything in it is safe for concurrent use.
package guess

import (
	"slices"

	"github.com/trustelem/zxcvbn/match"
	"github.com/trustelem/zxcvbn/scoring"
)

// MaxSize is the longest password that is looked at in bytes: the time grows
// with the cube of it.
const MaxSize = 64

// Part is a piece of a password and how a guesser comes by it.
type Part struct {
	Kind  Kind
	Start int // index of its first byte
	End   int // index after its last byte
}

// Kind is how a guesser comes by a piece of a password.
type Kind int

// The kinds of a [Part].
const (
	Random   Kind = iota // by trying every character
	Word                 // a common password, word or name
	Known                // a word that the guesser knows of the user
	Keys                 // neighbouring keys
	Repeat               // a piece, repeated
	Sequence             // as abcd or 6543
	Date                 // a date or year
)

// Estimate is how many guesses the password takes at the least, and the pieces
// that it falls into, in order. It looks at the first MaxSize bytes, which must
// be ASCII; known are words that the guesser knows.
func Estimate(password string, known []string) (float64, []Part) {
	password = password[:min(len(password), MaxSize)]
	sequence := mostGuessable(password, words(password, known), map[string]float64{})
	parts := make([]Part, len(sequence.Sequence))
	for i, m := range sequence.Sequence {
		parts[i] = Part{kindOf(m), m.I, m.J + 1}
	}
	return sequence.Guesses, parts
}

func kindOf(m *match.Match) Kind {
	switch {
	case m.DictionaryName == userInputs:
		return Known
	case m.Pattern == "dictionary":
		return Word
	case m.Pattern == "spatial":
		return Keys
	case m.Pattern == "repeat":
		return Repeat
	case m.Pattern == "sequence":
		return Sequence
	case m.Pattern == "date", m.Pattern == "regex":
		return Date
	}
	return Random
}

// mostGuessable splits s so that the guesses are fewest. words are those in s;
// bases are the guesses of what was seen repeated.
func mostGuessable(s string, words []*match.Match, bases map[string]float64) scoring.Result {
	all := slices.Clone(words)
	all = append(all, keys(s)...)
	all = append(all, repeats(s, words, bases)...)
	all = append(all, sequences(s)...)
	all = append(all, dates(s)...)
	match.Sort(all)
	return scoring.MostGuessableMatchSequence(s, all, false)
}
