package password

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/reseal/reseal/opaque"
)

func TestSizeIsThatOfOpaque(t *testing.T) {
	if MaxSize != opaque.MaxPassword {
		t.Errorf("%d, but opaque takes %d", MaxSize, opaque.MaxPassword)
	}
}

func TestNormal(t *testing.T) {
	composed, err := Normal("caf\u00e9 au lait")
	if err != nil {
		t.Fatal(err)
	}
	decomposed, err := Normal("cafe\u0301 au lait")
	if err != nil || !bytes.Equal(composed, decomposed) {
		t.Errorf("two forms of one password differ: %x %x %v", composed, decomposed, err)
	}
	if b, err := Normal(" Ab "); err != nil || string(b) != " Ab " {
		t.Errorf("spaces and case must stay: %q %v", b, err)
	}
	for _, s := range []string{"", "a\x00b", "line\n", "\xff", strings.Repeat("a", MaxSize+1), "tab\tbed", "\u0085"} {
		if _, err := Normal(s); err != Err {
			t.Errorf("Normal(%q): %v", s, err)
		}
	}
	if _, err := Normal(strings.Repeat("a", MaxSize)); err != nil {
		t.Errorf("longest password: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, s := range []string{
		"correct horse battery staple", "tr0ub4dour&3-zwölf-kühe", "kN9#vQ2!xLp7", "\u043a\u043e\u0448\u043a\u0430 \u0435\u0434\u0435\u0442 \u0432 \u0433\u043e\u0440\u044b",
		strings.Repeat("wörter und zahlen 17 ", 30),
	} {
		if b, err := Check(s, "alice"); err != nil || !utf8.Valid(b) {
			t.Errorf("Check(%q): %v", s, err)
		}
	}
	weak := map[string]string{
		"short": "characters", "1234567": "characters", "\u00e9\u00e9\u00e9\u00e9": "characters",
		"password": "common", "P@ssw0rd": "common", "letmein123": "common",
		"qwertyuiop": "common", "aaaaaaaaaaaaaaa": "repeated", "abcdefghijkl": "sequence",
		"\u0430\u0431\u0432\u0433\u0434\u0435\u0436\u0437": "sequence", "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9": "repeated",
		"alice.reader": "handle", "12.11.1987": "date", "1993-05-13": "date", "+49 30 901820": "number",
		"1.1.1.1.1.1.1.1.1.1.1.1.": "number", "x7#x7#x7#x7#x7#": "repeated", "aaaaaaaaXYaaaaaaa": "repeated",
	}
	for s, reason := range weak {
		_, err := Check(s, "alice.reader")
		var w *Weak
		if !errors.As(err, &w) {
			t.Errorf("Check(%q): %v, want weak", s, err)
			continue
		}
		if !strings.Contains(w.Reason, reason) || len(w.Suggestions) == 0 || s != "password" && strings.Contains(w.Error(), s) {
			t.Errorf("Check(%q): %q %q", s, w.Reason, w.Suggestions)
		}
	}
	if _, err := Check("Northwind-Traders", "bob", "northwind-traders"); err == nil {
		t.Error("a known word passes")
	}
	if _, err := Check("", "bob"); err != Err {
		t.Errorf("empty: %v", err)
	}
}

func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Check("correct horse battery staple", "alice"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"", "password", "4@({[<3$!|7+%2", "\u212b\u0130\u0131", "\xf0\x9f\x98\x80", "1.1.1", "31/12/1999", "zzzz~~~~"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := Check(s, "alice")
		if err != nil {
			return
		}
		if len(b) > MaxSize || utf8.RuneCount(b) < MinChars || !norm.NFC.IsNormal(b) {
			t.Errorf("Check(%q) = %q", s, b)
		}
		if again, err := Normal(string(b)); err != nil || !bytes.Equal(again, b) {
			t.Errorf("normal form of %q is not stable: %q %v", s, again, err)
		}
	})
}
