package metrics

import (
	"context"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// Every name that any handler counts must be in the list, with or without a
// label as it says; a misspelt one would be lost in silence.
func TestEveryNameIsKnown(t *testing.T) {
	call := regexp.MustCompile(`(?:Counter\.Count|s\.count|metrics\.Count)\(\s*"([a-z_]+)",\s*("")?`)
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range call.FindAllStringSubmatch(string(b), -1) {
			found[m[1]] = true
			known := false
			for _, c := range counters {
				if c.name == m[1] {
					known = (c.label == "") == (m[2] != "")
				}
			}
			if !known {
				t.Errorf("%s counts %q, which is not in the list so", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counters {
		if !found[c.name] {
			t.Errorf("nothing counts %q", c.name)
		}
	}
}

func TestCount(t *testing.T) {
	m := New()
	m.Count("sends", "")
	m.Count("ends", "viewed")
	m.Count("ends", "viewed")
	m.Count("no_such", "")
	m.Count("sends", "a label it does not have")
	has(t, m, `reseal_ends_total{state="viewed"} 2`, "reseal_sends_total 1")
}

func has(t *testing.T, m *Metrics, lines ...string) {
	t.Helper()
	r := httptest.NewRecorder()
	m.Handler().ServeHTTP(r, httptest.NewRequest("GET", "/metrics", nil))
	for _, l := range lines {
		if !strings.Contains(r.Body.String(), "\n"+l+"\n") {
			t.Errorf("no line %q", l)
		}
	}
}

func TestStoreIsTimed(t *testing.T) {
	mem, err := memory.New(store.Schema{{Prefix: "o/", Kind: store.Once}}, memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := New()
	s := m.Store(mem)
	if err := s.Commit(context.Background(), "P", new(store.Batch).PutOnce("o/1", nil, 0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(context.Background(), "P", new(store.Batch)); err == nil {
		t.Fatal("an empty batch was taken")
	}
	has(t, m, `reseal_store_commit_seconds_count{result="committed"} 1`, `reseal_store_commit_seconds_count{result="failed"} 1`)
}

// A counter without a label is there before its first event: where it appears
// with it, an alarm on an increase misses it.
func TestCountersBeginAtZero(t *testing.T) {
	w := httptest.NewRecorder()
	New().Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, c := range counters {
		if line := "\nreseal_" + c.name + "_total 0\n"; c.label == "" && !strings.Contains(w.Body.String(), line) {
			t.Errorf("no %q", line)
		}
		for _, v := range values[c.name] {
			if line := "\nreseal_" + c.name + "_total{" + c.label + "=\"" + v + "\"} 0\n"; !strings.Contains(w.Body.String(), line) {
				t.Errorf("no %q", line)
			}
		}
	}
	for name := range values {
		if !slices.ContainsFunc(counters, func(c struct{ name, label, help string }) bool { return c.name == name && c.label != "" }) {
			t.Errorf("values of %s, which has no label", name)
		}
	}
}
