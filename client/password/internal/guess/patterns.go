package guess

import (
	"strconv"
	"strings"

	"github.com/trustelem/zxcvbn/adjacency"
	"github.com/trustelem/zxcvbn/match"
	"github.com/trustelem/zxcvbn/scoring"
)

// shifted are the characters of a keyboard that take the shift key.
const shifted = `~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:"ZXCVBNM<>?`

// keys are rows of three or more neighbouring keys.
func keys(s string) (found []*match.Match) {
	for _, name := range []string{"qwerty", "dvorak", "keypad", "mac_keypad"} {
		graph := adjacency.Graphs[name]
		letters := name == "qwerty" || name == "dvorak"
		for start := 0; start < len(s)-2; {
			end, turns, shifts, last := start+1, 0, 0, -1
			if letters && strings.IndexByte(shifted, s[start]) >= 0 {
				shifts++
			}
			for ; end < len(s); end++ {
				way, shift := neighbour(graph.Graph[s[end-1:end]], s[end])
				if way < 0 {
					break
				}
				if shift {
					shifts++
				}
				if way != last {
					turns++
					last = way
				}
			}
			if end-start > 2 {
				found = append(found, &match.Match{
					Pattern: "spatial", Graph: name, Turns: turns, ShiftedCount: shifts,
					I: start, J: end - 1, Token: s[start:end],
				})
			}
			start = end
		}
	}
	return found
}

// neighbour is the direction in which c lies among the neighbours of a key, and
// whether it takes the shift key; -1 if it is none of them.
func neighbour(neighbours []string, c byte) (way int, shift bool) {
	for way, key := range neighbours {
		if i := strings.IndexByte(key, c); i >= 0 {
			return way, i == 1
		}
	}
	return -1, false
}

// repeats are pieces that follow one another twice or more. words are those in
// s; bases are the guesses of a piece.
func repeats(s string, words []*match.Match, bases map[string]float64) (found []*match.Match) {
	for start := range len(s) {
		for size := 1; start+2*size <= len(s); size++ {
			base := s[start : start+size]
			end := start + size
			for strings.HasPrefix(s[end:], base) {
				end += size
			}
			// What is a repetition itself was found with the shorter piece.
			if end == start+size || repeated(base) {
				continue
			}
			guesses, ok := bases[base]
			if !ok {
				guesses = mostGuessable(base, within(words, start, start+size), bases).Guesses
				bases[base] = guesses
			}
			found = append(found, &match.Match{
				Pattern: "repeat", BaseToken: base, BaseGuesses: guesses, RepeatCount: (end - start) / size,
				I: start, J: end - 1, Token: s[start:end],
			})
		}
	}
	return found
}

// repeated reports whether s is a shorter piece, repeated.
func repeated(s string) bool {
	return strings.Contains((s + s)[1:2*len(s)-1], s)
}

// sequences are characters that go up or down by the same step, of 1 to 5.
func sequences(s string) (found []*match.Match) {
	const maxStep = 5
	step := func(i int) int { return int(s[i]) - int(s[i-1]) }
	for start := 0; start < len(s)-1; {
		end, by := start+2, step(start+1)
		for end < len(s) && step(end) == by {
			end++
		}
		if by != 0 && max(by, -by) <= maxStep && (end-start > 2 || max(by, -by) == 1) {
			found = append(found, &match.Match{
				Pattern: "sequence", Ascending: by > 0, I: start, J: end - 1, Token: s[start:end],
			})
		}
		start = end - 1
	}
	return found
}

// dates are years since 1900, and days as people write them, with and without
// separators. A day that lies within a longer one is left out: of 2015-06-04,
// 15-06-04 and 5-06-04 are no other dates.
func dates(s string) (found []*match.Match) {
	covered := 0 // the end of the longest date that began before
	for start := range len(s) {
		if start+4 <= len(s) && isYear(s[start:start+4]) {
			found = append(found, &match.Match{
				Pattern: "regex", RegexName: "recent_year", I: start, J: start + 3, Token: s[start : start+4],
			})
		}
		for end := min(start+10, len(s)); end >= max(start+4, covered+1); end-- {
			if year, separator, ok := date(s[start:end]); ok {
				found = append(found, &match.Match{
					Pattern: "date", Year: year, Separator: separator, I: start, J: end - 1, Token: s[start:end],
				})
				covered = end
				break
			}
		}
	}
	return found
}

func isYear(s string) bool {
	return digits(s) && (s[:2] == "19" || s[:2] == "20" && s[2] < '3')
}

// date is the year of the reading of a token as a date that is nearest to today.
func date(token string) (year int, separator string, ok bool) {
	for _, d := range splits(token) {
		y, is := yearOf(d.parts)
		if is && (!ok || abs(y-scoring.ReferenceYear) < abs(year-scoring.ReferenceYear)) {
			year, separator, ok = y, d.separator, true
		}
	}
	return year, separator, ok
}

// split is text that may be a date.
type split struct {
	parts     [3]string
	separator string
}

// splits are the ways to take a token for three numbers of which one is a year.
func splits(token string) (all []split) {
	if digits(token) {
		if len(token) > 8 {
			return nil
		}
		for k := 1; k <= 4; k++ {
			for l := k + 1; l <= k+2 && l < len(token); l++ {
				all = append(all, split{parts: [3]string{token[:k], token[k:l], token[l:]}})
			}
		}
		return all
	}
	at := strings.IndexAny(token, " /\\_.-")
	if at < 1 {
		return nil
	}
	parts := strings.Split(token, token[at:at+1])
	if len(parts) != 3 || !digits(parts[0]) || !digits(parts[1]) || !digits(parts[2]) {
		return nil
	}
	return []split{{[3]string(parts), token[at : at+1]}}
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// yearOf is the year if the parts are a date: a day, a month and a year of 2 or
// 4 digits, which comes first or last.
func yearOf(parts [3]string) (year int, ok bool) {
	for _, p := range [][3]string{{parts[2], parts[0], parts[1]}, {parts[0], parts[1], parts[2]}} {
		if len(p[0]) == 3 || len(p[0]) > 4 || len(p[1]) > 2 || len(p[2]) > 2 {
			continue
		}
		y, _ := strconv.Atoi(p[0])
		a, _ := strconv.Atoi(p[1])
		b, _ := strconv.Atoi(p[2])
		if max(a, b) > 31 || min(a, b) > 12 {
			continue
		}
		switch {
		case len(p[0]) == 4 && (y < 1000 || y > 2050):
			continue
		case y <= 50:
			y += 2000
		case y <= 99:
			y += 1900
		}
		if !ok || abs(y-scoring.ReferenceYear) < abs(year-scoring.ReferenceYear) {
			year, ok = y, true
		}
	}
	return year, ok
}

func abs(n int) int { return max(n, -n) }
