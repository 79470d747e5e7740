package archtest

import (
	"crypto/rand"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store/memory"
)

// TestEveryMetricIsListed: docs/operators.md has a line for each metric of a
// server, with its labels, and no other.
func TestEveryMetricIsListed(t *testing.T) {
	listed := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `(reseal_[a-z_]+)` \\| ([a-z]*) ?\\| \\S")
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/operators.md"), -1) {
		listed[m[1]] = m[2]
	}
	st, err := memory.New(server.Schema(), memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	setup, err := opaque.NewSetup(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Store: st, BlobFolder: t.TempDir(), BlobFloor: -1, Setup: setup})
	if err != nil {
		t.Fatal(err)
	}
	described := make(chan *prometheus.Desc)
	go func() { s.Metrics().Registry().Describe(described); close(described) }()
	desc := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	n := 0
	for d := range described {
		m := desc.FindStringSubmatch(d.String())
		if m == nil || !strings.HasPrefix(m[1], "reseal_") {
			continue
		}
		n++
		if labels, ok := listed[m[1]]; !ok || labels != m[2] {
			t.Errorf("docs/operators.md has %q for %s, which has the labels %q", labels, m[1], m[2])
		}
		delete(listed, m[1])
	}
	for name := range listed {
		t.Errorf("docs/operators.md has %s, which no server has", name)
	}
	if n < 20 {
		t.Errorf("only %d metrics found", n)
	}
}
