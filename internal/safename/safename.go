// Package safename makes file names out of what a stranger wrote, and puts
// finished files under a free name.
//
// A sender chooses the name that a received file bears. It must not lead out of
// the folder, replace anything, hide, pass for another file, mean a device, or
// do something to the terminal or program that lists it. What [Name] returns is
// one plain component that every common file system takes; [Place] never
// replaces a file, whoever else creates files at the same moment.
//
// The package keeps no state; everything in it is safe for concurrent use.
package safename

import (
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxSize is the longest name in bytes: the limit of ext4, APFS and NTFS (which
// counts UTF-16 units, never more than bytes).
const MaxSize = 255

// maxExt is how long the end of a name after its last dot may be to be kept
// when the name is cut: beyond that it is no extension.
const maxExt = 32

// Name is the name that a file described by name gets: its last component, in
// NFC, without what does not belong into a name, at most [MaxSize] bytes. Where
// nothing is left it is fallback, which must be a safe name itself. It is
// idempotent.
func Name(name, fallback string) string {
	s := norm.NFC.String(strings.ToValidUTF8(name, "_"))
	// Both kinds of separators, wherever we run: the file may travel on.
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	s = norm.NFC.String(strings.Map(plain, s))
	for {
		cut := fit(edges(s), MaxSize)
		if cut == s {
			break
		}
		s = cut
	}
	if s == "" {
		return fallback
	}
	if reserved(s) {
		// An underscore in front: "_CON.txt" is no device any more.
		return fit("_"+s, MaxSize)
	}
	return s
}

// Next is the n-th name to try where name is taken: name itself for 1, then
// "name (2).ext" and so on.
func Next(name string, n int) string {
	if n <= 1 {
		return name
	}
	stem, ext := split(name)
	mark := " (" + strconv.Itoa(n) + ")"
	return cut(stem, MaxSize-len(mark)-len(ext)) + mark + ext
}

// plain is what becomes of one character: itself, an underscore, or nothing.
func plain(r rune) rune {
	switch {
	case strings.ContainsRune(`<>:"|?*`, r): // Windows; ':' is a drive or a stream
		return '_'
	case strings.ContainsRune("\u2044\u2215\u29f8\uff0f\u2216\u29f5\ufe68\uff3c", r): // like slashes
		return '_'
	case strings.ContainsRune("\u2024\ufe52\uff0e", r): // like dots: a false extension
		return '_'
	case unicode.Is(unicode.Zs, r):
		return ' '
	case invisible(r):
		return -1
	}
	return r
}

// invisible are characters that show nothing or turn what follows around: two
// names that look alike, or "gpj.exe" that reads as "exe.jpg".
func invisible(r rune) bool {
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point,
		unicode.Variation_Selector)
}

// edges takes off what may not stand first or last. A dot in front hides a file
// (or is the folder itself), a dash makes it an option, a tilde a home folder;
// Windows drops dots and spaces at the end, so that two names are one.
func edges(s string) string {
	s = strings.TrimLeft(s, ". ")
	if s != "" && strings.ContainsRune("-~", rune(s[0])) {
		s = "_" + s[1:]
	}
	return strings.TrimRight(s, ". ")
}

// fit cuts a name to size bytes, keeping its extension.
func fit(s string, size int) string {
	if len(s) <= size {
		return s
	}
	stem, ext := split(s)
	return cut(stem, size-len(ext)) + ext
}

// split parts a name before its extension. A name that begins with its only dot
// has none.
func split(s string) (stem, ext string) {
	ext = path.Ext(s)
	if len(ext) < 2 || len(ext) > maxExt || len(ext) == len(s) {
		return s, ""
	}
	return s[:len(s)-len(ext)], ext
}

// cut takes the longest prefix of whole characters within size bytes.
func cut(s string, size int) string {
	if len(s) <= size {
		return s
	}
	for size > 0 && !utf8.RuneStart(s[size]) {
		size--
	}
	return strings.TrimRight(s[:size], ". ")
}

// reserved tells whether Windows takes the name for a device, whatever follows
// its first dot.
func reserved(s string) bool {
	base, _, _ := strings.Cut(s, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	for _, port := range []string{"COM", "LPT"} {
		if n, ok := strings.CutPrefix(base, port); ok && utf8.RuneCountInString(n) == 1 && strings.Contains("0123456789¹²³", n) {
			return true
		}
	}
	return false
}
