package mutants

import (
	"go/parser"
	"go/token"
	"testing"
)

const top = "../.."

// TestTable: every fault can be planted, and there are enough of them.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All() {
		b, err := m.Apply(top)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.File, b, 0); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		if seen[m.Name] || m.Name == "" || len(m.Tests) == 0 || m.Old == m.New {
			t.Errorf("%q", m.Name)
		}
		seen[m.Name] = true
	}
	if len(seen) < 40 {
		t.Errorf("%d faults", len(seen))
	}
}

// TestRun: what is caught and what is not is told apart.
func TestRun(t *testing.T) {
	m := All()[0]
	if by, err := m.Run(t.Context(), top); err != nil || by == "" {
		t.Errorf("not caught: %q, %v", by, err)
	}
	m.New = m.Old + " // the same"
	if by, err := m.Run(t.Context(), top); err != nil || by != "" {
		t.Errorf("no fault, and caught by %q, %v", by, err)
	}
	m.New = "no Go"
	if _, err := m.Run(t.Context(), top); err == nil {
		t.Error("it builds")
	}
}
