package handle

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	good := map[string]Handle{
		"bob": "bob", "Alice": "alice", "a1_b-c.d": "a1_b-c.d", "x00": "x00", "ZED.9": "zed.9",
		strings.Repeat("a", MaxSize): Handle(strings.Repeat("a", MaxSize)),
	}
	for in, want := range good {
		if h, err := Parse(in); err != nil || h != want {
			t.Errorf("Parse(%q) = %q, %v", in, h, err)
		}
	}
	bad := []string{
		"", "ab", strings.Repeat("a", MaxSize+1), "1abc", ".abc", "_abc", "-abc", "abc.", "abc-", "abc_",
		"a..b", "a._b", "a-_b", "a b", " bob", "bob ", "bob\n", "b\x00b", "bob@x", "b/b", `b\b`, "..", "...",
		"bоb" /* Cyrillic o */, "ｂob" /* full width */, "bób", "bo\u0301b", "bob\u200d", "K\u212aelvin", "\xff\xfe\xfd",
	}
	for _, in := range bad {
		if h, err := Parse(in); err == nil {
			t.Errorf("Parse(%q) = %q, want an error", in, h)
		}
	}
}

func TestValidIsNormalForm(t *testing.T) {
	for h, want := range map[Handle]bool{"alice": true, "Alice": false, "": false, "al": false} {
		if h.Valid() != want {
			t.Errorf("%q.Valid() = %v", h, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"alice", "A.b-C_9", "a..b", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(string(h)); err != nil || again != h || len(h) != len(s) || !strings.EqualFold(s, string(h)) {
			t.Fatalf("Parse(%q) = %q, then %q, %v", s, h, again, err)
		}
	})
}
