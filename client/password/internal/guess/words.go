package guess

import (
	"maps"
	"slices"
	"strings"

	"github.com/trustelem/zxcvbn/frequency"
	"github.com/trustelem/zxcvbn/match"
)

// userInputs names the list of words that the guesser knows of the user.
const userInputs = "user_inputs"

// leet are the characters that stand for letters, and for which.
var leet = map[byte]string{
	'4': "a", '@': "a", '8': "b", '(': "c", '{': "c", '[': "c", '<': "c", '3': "e", '6': "g", '9': "g",
	'1': "il", '!': "i", '|': "il", '0': "o", '$': "s", '5': "s", '+': "t", '7': "lt", '%': "x", '2': "z",
}

// place is where in a password a word may stand, and how it is written there.
type place struct {
	start, end int
	reversed   bool
	letters    map[byte]byte // what characters stand for, if any here do
}

// words are the words of the lists in s: as they are, backwards, and with
// characters that stand for letters.
//
// It is not the lists that are indexed but s: each piece of it, in each reading,
// is put down, and the lists are then walked once.
func words(s string, known []string) []*match.Match {
	wanted := map[string][]place{}
	lower := strings.ToLower(s)
	read(wanted, lower)
	for _, letters := range readings(lower) {
		readLeet(wanted, lower, letters)
	}
	var found []*match.Match
	look := func(list, word string, rank int) {
		word = strings.ToLower(word)
		for _, p := range wanted[word] {
			var sub map[string]string
			if p.letters != nil {
				sub = map[string]string{}
			}
			for _, c := range []byte(s[p.start:p.end]) {
				if l, ok := p.letters[c]; ok {
					sub[string(c)] = string(l)
				}
			}
			found = append(found, &match.Match{
				Pattern: "dictionary", DictionaryName: list, MatchedWord: word, Rank: rank,
				I: p.start, J: p.end - 1, Token: s[p.start:p.end],
				Reversed: p.reversed, L33t: sub != nil, Sub: sub,
			})
		}
	}
	// A map has no order: what is found has one.
	for _, name := range slices.Sorted(maps.Keys(frequency.FrequencyLists)) {
		for i, word := range frequency.FrequencyLists[name] {
			look(name, word, i+1)
		}
	}
	for i, word := range known {
		look(userInputs, word, i+1)
	}
	return found
}

// within are the words that lie in a piece of the password, by their places in
// it. What the guesser knows of the user is none of them: nobody repeats that.
func within(words []*match.Match, start, end int) (found []*match.Match) {
	for _, w := range words {
		if w.I < start || w.J >= end || w.DictionaryName == userInputs {
			continue
		}
		moved := *w
		moved.I, moved.J = w.I-start, w.J-start
		found = append(found, &moved)
	}
	return found
}

// read puts down each piece of s, forwards and backwards.
func read(wanted map[string][]place, s string) {
	for start := range len(s) {
		for end := start + 1; end <= len(s); end++ {
			piece := []byte(s[start:end])
			wanted[string(piece)] = append(wanted[string(piece)], place{start: start, end: end})
			slices.Reverse(piece)
			wanted[string(piece)] = append(wanted[string(piece)], place{start: start, end: end, reversed: true})
		}
	}
}

// readLeet puts down each piece of s, of two characters or more, in which one
// stands for a letter.
func readLeet(wanted map[string][]place, s string, letters map[byte]byte) {
	read := []byte(s)
	for i, c := range read {
		if l, ok := letters[c]; ok {
			read[i] = l
		}
	}
	for start := range len(s) {
		leet := false
		for end := start + 1; end <= len(s); end++ {
			leet = leet || read[end-1] != s[end-1]
			if leet && end-start > 1 {
				word := string(read[start:end])
				wanted[word] = append(wanted[word], place{start: start, end: end, letters: letters})
			}
		}
	}
}

// readings are the ways in which the characters of s can stand for letters, each
// for the same letter throughout: at most 8, as three of them can stand for two.
func readings(s string) []map[byte]byte {
	all := []map[byte]byte{{}}
	for _, c := range slices.Sorted(maps.Keys(leet)) {
		if strings.IndexByte(s, c) < 0 {
			continue
		}
		var next []map[byte]byte
		for _, l := range []byte(leet[c]) {
			for _, r := range all {
				r = maps.Clone(r)
				r[c] = l
				next = append(next, r)
			}
		}
		all = next
	}
	return all
}
