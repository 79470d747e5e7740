package archtest

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSpecIndex: spec/README.md lists every specification, once, and no other.
func TestSpecIndex(t *testing.T) {
	index := read(t, "spec/README.md")
	row := regexp.MustCompile(`(?m)^\| \[([a-z]+\.md)\]\(([a-z]+\.md)\) \| \S`)
	var in []string
	for _, m := range row.FindAllStringSubmatch(index, -1) {
		if m[1] != m[2] {
			t.Errorf("the index shows %s and links %s", m[1], m[2])
		}
		in = append(in, m[1])
	}
	var there []string
	for _, name := range files(t, ".md") {
		if path.Dir(name) == "spec" && name != "spec/README.md" {
			there = append(there, path.Base(name))
		}
	}
	slices.Sort(in)
	if !slices.Equal(in, there) {
		t.Errorf("the index has %v, the folder %v", in, there)
	}
}

// TestSpecShape: a specification begins with what it specifies, and has what
// the others have.
func TestSpecShape(t *testing.T) {
	for _, name := range files(t, ".md") {
		if path.Dir(name) != "spec" || name == "spec/README.md" {
			continue
		}
		text := read(t, name)
		parts := strings.SplitN(text, "\n\n", 3)
		if !strings.HasPrefix(parts[0], "# ") || !strings.HasPrefix(parts[1], "This document specifies ") {
			t.Errorf("%s does not begin with a title and what it specifies", name)
		}
		for _, w := range []string{"ecurity considerations", "ifferences from", "ectors", "MUST"} {
			if !strings.Contains(text, w) {
				t.Errorf("%s says nothing of %q", name, w)
			}
		}
	}
}

// TestSpecReferences: where a document names a section of another, or of itself,
// it is there.
func TestSpecReferences(t *testing.T) {
	other := regexp.MustCompile("`?([a-z-]+\\.md)`?, (?:section )?([0-9]+(?:\\.[0-9]+)?)\\b")
	quoted := regexp.MustCompile("`?([a-z-]+\\.md)`?, \"([^\"]+)\"")
	itself := regexp.MustCompile(`(?:^|[^\w,] )[Ss]ections? ([0-9]+(?:\.[0-9]+)?)(?:[^\w.]|\.\s|$)`)
	name := regexp.MustCompile("`([a-z-]+\\.md)`")
	section := func(file, number string) bool {
		return regexp.MustCompile(`(?m)^##+ ` + regexp.QuoteMeta(number) + `\.? `).MatchString(read(t, file))
	}
	for _, file := range files(t, ".md") {
		if path.Dir(file) != "spec" {
			continue
		}
		text := strings.ReplaceAll(read(t, file), "\n", " ")
		for _, m := range name.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, "spec", m[1])); err != nil {
				t.Errorf("%s: no document %s", file, m[1])
			}
		}
		for _, m := range other.FindAllStringSubmatch(text, -1) {
			if !section("spec/"+m[1], m[2]) {
				t.Errorf("%s: %s has no section %s", file, m[1], m[2])
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(read(t, "spec/"+m[1]), m[2]) {
				t.Errorf("%s: %s has no %q", file, m[1], m[2])
			}
		}
		for _, m := range itself.FindAllStringSubmatchIndex(text, -1) {
			before := text[max(0, m[0]-40):m[0]]
			if strings.Contains(before, ".md`") || strings.Contains(before, "RFC") || strings.Contains(before, "\",") || strings.Contains(before, "et al") {
				continue // of another document
			}
			if number := text[m[2]:m[3]]; !section(file, number) {
				t.Errorf("%s: it has no section %s (%q)", file, number, text[max(0, m[0]-30):m[1]])
			}
		}
	}
}

// vectorReaders are the packages whose tests run the vectors, and the tests that
// do.
var vectorReaders = []struct{ pkg, tests string }{
	{"./seal", "Vector|Wycheproof"},
	{"./wrap", "Vector"},
	{"./identity", "Vector|Encoding|Scenario|Standard|Ed25519|XWing|HPKE|Peer"},
	{"./message", "Vector"},
	{"./retry", "Vector|Decide|Deal|Schedule|Repeat"},
	{"./book", "Vector|Merge|Load|Parse"},
	{"./capsule", "Vector"},
	{"./invite", "Vector"},
	{"./opaque", "Vector|RFC"},
	{"./client/vault", "Vector"},
	{"./server/blob", "Vector"},
}

// TestEveryVectorIsRun: a test of some package opens each file. The test
// binaries write down which files they open.
func TestEveryVectorIsRun(t *testing.T) {
	opened := map[string]bool{}
	for _, r := range vectorReaders {
		log := filepath.Join(t.TempDir(), "opened")
		cmd := exec.Command("go", "test", "-count=1", "-run", r.tests, r.pkg, "-args", "-test.testlogfile="+log)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", r.pkg, err, out)
			continue
		}
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			if name, ok := strings.CutPrefix(line, "open "); ok {
				opened[path.Join(strings.TrimPrefix(r.pkg, "./"), filepath.ToSlash(name))] = true
			}
		}
	}
	n := 0
	for _, name := range files(t, ".json") {
		if !strings.HasPrefix(name, "spec/vectors/") || path.Base(name) == "package.json" {
			continue
		}
		if n++; !opened[name] {
			t.Errorf("no test opens %s", name)
		}
	}
	if n < 300 {
		t.Errorf("only %d vectors found", n)
	}
}

// TestEveryFormatHasVectors: each specification with records names its folder of
// vectors, and no folder is left over.
func TestEveryFormatHasVectors(t *testing.T) {
	named := regexp.MustCompile("`vectors/([a-z0-9]+)/")
	told := map[string]bool{}
	for _, name := range files(t, ".md") {
		if path.Dir(name) == "spec" {
			for _, m := range named.FindAllStringSubmatch(read(t, name), -1) {
				told[m[1]] = true
			}
		}
	}
	there := map[string]bool{}
	for _, name := range tree(t) {
		if rest, ok := strings.CutPrefix(name, "spec/vectors/"); ok {
			folder, _, _ := strings.Cut(rest, "/")
			there[folder] = true
		}
	}
	for f := range there {
		if !told[f] {
			t.Errorf("no specification names spec/vectors/%s", f)
		}
	}
	for f := range told {
		if !there[f] {
			t.Errorf("spec/vectors/%s is named and not there", f)
		}
	}
}
