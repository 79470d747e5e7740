package invite

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors")

const vectors = "../spec/vectors/invite/"

type scenario struct {
	Comment string `json:"comment"`
	Outcome string `json:"outcome"`
	Text    string `json:"text"`
	Code    string `json:"code,omitempty"`
	Hash    string `json:"hash,omitempty"`
	Written string `json:"written,omitempty"`
}

// run puts a scenario's text through Parse.
func (s scenario) run() scenario {
	c, err := Parse(s.Text)
	s.Outcome, s.Code, s.Hash, s.Written = "refused", "", "", ""
	if err == nil {
		h := c.Hash()
		s.Outcome, s.Code, s.Hash, s.Written = "ok", hex.EncodeToString(c.Bytes()), hex.EncodeToString(h[:]), c.Reveal()
	}
	return s
}

func scenarios() map[string]scenario {
	c, _ := Of([]byte("\x70\x71\x72\x73\x74\x75\x76\x77\x78\x79\x7a"))
	ones, _ := Of(bytes.Repeat([]byte{0xff}, Size))
	low, _ := Of([]byte{0, 0x42, 0x10, 0x84, 0x21, 0, 0, 0, 0, 0, 0})
	s, l := c.Reveal(), low.Reveal()
	return map[string]scenario{
		"good":       {"as it is shown", "ok", s, "", "", ""},
		"zeros":      {"all zero bits", "ok", Code{}.Reveal(), "", "", ""},
		"ones":       {"all one bits", "ok", ones.Reveal(), "", "", ""},
		"typed":      {"as people type it", "ok", " " + strings.ToLower(strings.ReplaceAll(s, "-", "  ")) + "\n", "", "", ""},
		"lookalikes": {"O for 0, I and l for 1", "ok", strings.Replace(strings.NewReplacer("0", "O", "1", "I").Replace(l), "I", "l", 1), "", "", ""},
		"typo":       {"one character wrong", "refused", "F" + s[1:], "", "", ""},
		"swapped":    {"two characters swapped", "refused", s[1:2] + s[:1] + s[2:], "", "", ""},
		"short":      {"a character missing", "refused", s[:len(s)-1], "", "", ""},
		"long":       {"a character more", "refused", s + "0", "", "", ""},
		"letter-u":   {"U is in no code", "refused", "U" + s[1:], "", "", ""},
		"dotless-i":  {"a letter that only unicode folds to I", "refused", strings.Replace(l, "1", "\u0131", 1), "", "", ""},
		"empty":      {"nothing", "refused", "", "", "", ""},
	}
}

func TestVectors(t *testing.T) {
	made := scenarios()
	if *update {
		for name, s := range made {
			b, err := json.MarshalIndent(s.run(), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(vectors+name+".json", append(b, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(vectors + "*.json")
	if err != nil || len(files) != len(made) {
		t.Fatalf("%d files, %d scenarios, %v: run with -update", len(files), len(made), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var s scenario
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		if g := made[name]; g.Text != s.Text || g.Outcome != s.Outcome || g.Comment != s.Comment {
			t.Errorf("%s is not what its generator makes: run with -update", name)
		}
		if got := s.run(); got != s {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range scenarios() {
		f.Add(s.Text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(c.Reveal()); err != nil || again != c {
			t.Errorf("%q: written as %q, read as %x", s, c.Reveal(), again.b)
		}
	})
}

func TestCode(t *testing.T) {
	c, err := New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Of(c.Bytes()); err != nil || again != c {
		t.Error(err)
	}
	for _, n := range []int{0, Size - 1, Size + 1, 32} {
		if _, err := Of(make([]byte, n)); err != Err {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %x %d", c, c, c, c, c, c), c.LogValue().String()} {
		if strings.Trim(strings.ReplaceAll(text, hidden, ""), " ") != "" {
			t.Errorf("shows %q", text)
		}
	}
	if _, err := New(strings.NewReader("short")); err == nil {
		t.Error("a code out of too little randomness")
	}
}
