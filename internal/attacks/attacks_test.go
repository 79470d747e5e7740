package attacks

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestAttacks plays all that the world can play.
func TestAttacks(t *testing.T) {
	for _, g := range All() {
		for _, a := range g.Attacks {
			if a.play != nil {
				t.Run(a.Name, a.Play)
			}
		}
	}
}

// A request that nobody altered is answered.
func TestGenuineRequest(t *testing.T) { Attack{play: genuineRequest}.Play(t) }

var update = flag.Bool("update", false, "write docs/attacks.md")

func TestPage(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "attacks.md")
	if *update {
		if err := os.WriteFile(name, []byte(Page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != Page() {
		t.Fatalf("docs/attacks.md is not the table (%v): run with -update", err)
	}
}

// TestTable: names are unique and well made, every attack is played somewhere,
// and what is played elsewhere is there.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	form := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, g := range All() {
		for _, a := range g.Attacks {
			if seen[a.Name] || !form.MatchString(a.Name) || a.Models == "" || a.Must == "" || (a.play == nil) == (a.Test == "") {
				t.Errorf("%q", a.Name)
			}
			seen[a.Name] = true
			if a.Test == "" {
				continue
			}
			file, test, _ := strings.Cut(a.Test, " ")
			test, sub, _ := strings.Cut(test, "/")
			src, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
			_, body, found := strings.Cut(string(src), "func "+test+"(")
			body, _, _ = strings.Cut(body, "\n}\n")
			if err != nil || !found || sub != "" && !strings.Contains(body, strconv.Quote(sub)) {
				t.Errorf("%s: no %s (%v)", a.Name, a.Test, err)
			}
		}
	}
	if len(seen) < 120 {
		t.Errorf("%d attacks", len(seen))
	}
}
