package safename

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const fallback = "message-01234567"

func TestName(t *testing.T) {
	long := strings.Repeat("a", 300)
	for in, want := range map[string]string{
		"photo.jpg":                     "photo.jpg",
		"":                              fallback,
		".":                             fallback,
		"..":                            fallback,
		"...":                           fallback,
		" . . ":                         fallback,
		"../../etc/passwd":              "passwd",
		`..\..\windows\system.ini`:      "system.ini",
		"/etc/":                         fallback,
		"/":                             fallback,
		"a/..":                          fallback,
		`C:\x.txt`:                      "x.txt",
		"C:x.txt":                       "C_x.txt",
		"x.txt:stream":                  "x.txt_stream",
		".bashrc":                       "bashrc",
		"-rf":                           "_rf",
		"~root":                         "_root",
		".-x":                           "_x",
		"a.txt. . ":                     "a.txt",
		"con":                           "_con",
		"CON.txt":                       "_CON.txt",
		"nul .tar.gz":                   "_nul .tar.gz",
		"COM1":                          "_COM1",
		"lpt³.log":                      "_lpt³.log",
		"COM10":                         "COM10",
		"console.txt":                   "console.txt",
		"a\x00b\nc\x1b[2J.txt":          "abc[2J.txt",
		"a\u202egpj.exe":                "agpj.exe",
		"a\u2066b\u2069.txt":            "ab.txt",
		"a\u200bb\u200d\ufeff.txt":      "ab.txt",
		"a\u3164b\u00adc.txt":           "abc.txt",
		"\u202e":                        fallback,
		"..\uff0f..\uff0fetc":           "_.._etc",
		"photo.jpg\uff0eexe":            "photo.jpg_exe",
		"caf\u0065\u0301.txt":           "caf\u00e9.txt",
		"e\u034f\u0301.txt":             "\u00e9.txt",
		"\u037e.txt":                    ";.txt",
		"a\u00a0b\u2003c.txt":           "a b c.txt",
		"bad\xff\xfe.txt":               "bad_.txt",
		"what? <really>*|\".txt":        "what_ _really____.txt",
		"日本語.txt":                       "日本語.txt",
		"family 👨‍👩‍👧.png":              "family 👨👩👧.png",
		long + ".jpeg":                  long[:250] + ".jpeg",
		long + "." + long:               long[:255],
		strings.Repeat("é", 130) + ".x": strings.Repeat("é", 126) + ".x",
		"." + strings.Repeat("b", 300):  strings.Repeat("b", 255),
	} {
		if got := Name(in, fallback); got != want {
			t.Errorf("Name(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNext(t *testing.T) {
	long := strings.Repeat("é", 125) + ".jpg" // 254 bytes
	for _, c := range []struct {
		name string
		n    int
		want string
	}{
		{"a.txt", 1, "a.txt"},
		{"a.txt", 2, "a (2).txt"},
		{"a.tar.gz", 3, "a.tar (3).gz"},
		{"a", 10, "a (10)"},
		{long, 2, strings.Repeat("é", 123) + " (2).jpg"},
	} {
		if got := Next(c.name, c.n); got != c.want || len(got) > MaxSize {
			t.Errorf("Next(%q, %d) = %q, want %q", c.name, c.n, got, c.want)
		}
	}
}

func safe(s string) bool {
	return s != "" && len(s) <= MaxSize && utf8.ValidString(s) && norm.NFC.IsNormalString(s) && !strings.ContainsAny(s, "/\\:\x00\n\x1b<>\"|?*") &&
		strings.Trim(s, " ") == s && s[0] != '.' && s[0] != '-' && s[len(s)-1] != '.' && !reserved(s) && filepath.IsLocal(s) &&
		strings.IndexFunc(s, invisible) < 0
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"a.txt", "../x", "CON", "e\u034f\u0301", "\u202ea.txt", strings.Repeat("é", 200) + ".jpg", "a. .b", "\xff", "-~-"} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		name := Name(s, fallback)
		if !safe(name) {
			t.Fatalf("Name(%q) = %q is not safe", s, name)
		}
		if again := Name(name, fallback); again != name {
			t.Fatalf("Name(%q) = %q, and again %q", s, name, again)
		}
		if next := Next(name, n); !safe(next) {
			t.Fatalf("Next(%q, %d) = %q is not safe", name, n, next)
		}
	})
}

func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, folder, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPlaceNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "old")
	// What is in the way need not be a file, nor lead anywhere.
	if err := os.Mkdir(filepath.Join(dir, "a (2).txt"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "a (3).txt")); err != nil {
		t.Fatal(err)
	}
	got, err := Place(dir, write(t, dir, "temp", "new"), "a.txt")
	if err != nil || got != "a (4).txt" {
		t.Fatalf("%q, %v", got, err)
	}
	if s := read(t, dir, "a.txt"); s != "old" {
		t.Errorf("a.txt is %q now", s)
	}
	if s := read(t, dir, "a (4).txt"); s != "new" {
		t.Errorf("the new file is %q", s)
	}
	for _, gone := range []string{"temp", "elsewhere"} {
		if _, err := os.Lstat(filepath.Join(dir, gone)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", gone, err)
		}
	}
}

func TestOnlyAndReserve(t *testing.T) {
	for name, place := range map[string]func(temp, target string) error{"link": Only, "no links": reserve} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			taken := write(t, dir, "taken", "old")
			if err := place(write(t, dir, "temp", "new"), taken); !errors.Is(err, fs.ErrExist) {
				t.Errorf("over an existing file: %v", err)
			}
			if s := read(t, dir, "taken"); s != "old" {
				t.Errorf("replaced by %q", s)
			}
			if err := place(filepath.Join(dir, "temp"), filepath.Join(dir, "free")); err != nil {
				t.Error(err)
			}
			if s := read(t, dir, "free"); s != "new" {
				t.Errorf("placed %q", s)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	target := write(t, dir, "a", "old")
	if err := Replace(write(t, dir, "temp", "new"), target); err != nil {
		t.Fatal(err)
	}
	if s := read(t, dir, "a"); s != "new" {
		t.Errorf("%q", s)
	}
}
