package archtest

import (
	"slices"
	"strings"
	"testing"
)

// edge forbids packages to reach others, through any number of imports. A name
// that ends in /... stands for the package and all below it.
type edge struct {
	from, to []string
	except   []string // of from
	why      string
}

var rootPackage = "."

var edges = []edge{
	{
		from: []string{"server/...", "store/...", "bus/...", "internal/records", "internal/roster", "internal/caller", "internal/faults"},
		to:   []string{"seal", "wrap", "client/...", "capsule", "book", rootPackage},
		why:  "the server cannot open content, wraps, capsules or books: the code to do so is not in it",
	},
	{
		from: []string{"store/...", "bus/..."},
		to:   []string{"server/...", "api/...", "identity", "message", "opaque", "retry"},
		why:  "an engine keeps bytes under keys; what they mean must not change how it keeps them",
	},
	{
		from: []string{"seal"},
		to:   []string{"wrap", "message", "client/...", "server/...", "api/..."},
		why:  "content encryption is reviewed alone, and knows nothing of who a content is for",
	},
	{
		from: []string{"identity"},
		to:   []string{"message", "wrap", "seal", "retry", "capsule", "book", "opaque", "client/...", "server/...", "api/..."},
		why:  "keys and lists are the ground that the rest stands on",
	},
	{
		from: []string{"message", "retry"},
		to:   []string{"seal", "wrap", "capsule", "book", "client/...", "server/...", "api/..."},
		why:  "server and client share these records, so nothing that opens a content may come with them",
	},
	{
		from: []string{"opaque"},
		to:   []string{"capsule", "book", "seal", "wrap", "client/...", "server/...", "api/..."},
		why:  "the login is reviewed alone; the capsule is sealed by what comes out of it",
	},
	{
		from: []string{"client"},
		to: []string{
			"server/...", "store/...", "bus/...", "client/vault", "client/remote/...", "client/handover", "client/password", "api/mux", "api/blobs", rootPackage,
		},
		why: "the engine does no I/O: it runs the same natively, in wasm, on a phone and in a simulator",
	},
	{
		from: []string{rootPackage, "client/...", "api/..."},
		to:   []string{"server/...", "store/...", "bus/..."},
		why:  "what an app links is the client; a server comes along with nobody's app",
	},
	{
		from: []string{"client/vault", "client/remote/...", "client/handover", "client/password"},
		to:   []string{"client", rootPackage},
		why:  "transport and database serve the engine and do not know it",
	},
	{
		from: []string{"api/..."},
		to:   []string{"seal", "wrap", "identity", "capsule", "book", "opaque", "client/...", rootPackage},
		except: []string{
			"api/blobs", // text forms of message.BlobID; message brings identity's ids along
		},
		why: "the API carries records as bytes",
	},
	{
		from: []string{rootPackage, "cmd/...", "client/...", "server/...", "examples/..."},
		to:   []string{"resealtest"},
		why:  "a world for tests can forge lists: only tests have it",
	},
	{
		from: []string{rootPackage, "client/...", "server/...", "api/...", "resealtest"},
		to:   []string{"internal/bench/..."},
		why:  "what is measured knows nothing of it: the server under measurement is the one that people run",
	},
	{
		from: []string{"internal/bench/..."},
		to:   []string{"server/...", "store/..."},
		why:  "a server is measured from outside, as a process of its own",
	},
	{
		from: []string{"store/cassandra", "store/pebble", "store/memory"},
		to:   []string{"store/storetest"},
		why:  "the suite is test code",
	},
}

// matches tells whether a package (by its short path) is one of a list.
func matches(pkg string, list []string) bool {
	if pkg == "" {
		pkg = rootPackage
	}
	for _, l := range list {
		if below, ok := strings.CutSuffix(l, "/..."); pkg == l || (ok && (pkg == below || strings.HasPrefix(pkg, below+"/"))) {
			return true
		}
	}
	return false
}

func TestImportRules(t *testing.T) {
	all := packages(t)
	for _, e := range edges {
		from, to := 0, 0
		for _, p := range all {
			if matches(p.short(), e.to) {
				to++
			}
			if !matches(p.short(), e.from) {
				continue
			}
			from++
			if matches(p.short(), e.except) {
				continue
			}
			for _, d := range p.Deps {
				if own(d) && matches(short(d), e.to) {
					t.Errorf("%s reaches %s: %s", p.ImportPath, short(d), e.why)
				}
			}
		}
		if from < len(e.from) || to == 0 {
			t.Errorf("rule %v -> %v names packages that are not there", e.from, e.to)
		}
	}
}

// TestServerCapabilitiesStandAlone: server/a never imports server/b, but
// declares the one or two methods that it needs; package server plugs them
// together.
func TestServerCapabilitiesStandAlone(t *testing.T) {
	capability := func(pkg string) string {
		rest, ok := strings.CutPrefix(pkg, "server/")
		if !ok {
			return ""
		}
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	seen := map[string]bool{}
	for _, p := range packages(t) {
		from := capability(p.short())
		if from == "" {
			continue
		}
		seen[from] = true
		for _, i := range p.Imports {
			if to := capability(short(i)); own(i) && to != "" && to != from {
				t.Errorf("%s imports %s: declare the methods you need instead", p.short(), short(i))
			}
		}
	}
	if len(seen) < 5 {
		t.Errorf("only %d capabilities found", len(seen))
	}
}

// engines are the stores that only commands, the demo and tests pick.
var engines = []string{"store/cassandra", "store/memory", "store/pebble", "store/storetest"}

// above are the packages that put a whole system together: commands, what they
// run, and the worlds that tests need.
var above = []string{"cmd/...", "internal/demo/...", "internal/testworld/...", "internal/world/...", "internal/sim/...", "internal/attacks/...", "resealtest"}

func TestOnlyCommandsPickAStore(t *testing.T) {
	picked := false
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			if !own(i) || !matches(short(i), engines) {
				continue
			}
			if !matches(p.short(), above) {
				t.Errorf("%s imports %s: take a store.Store, and let the command choose", p.short(), short(i))
			}
			picked = true
		}
	}
	if !picked {
		t.Error("nobody picks a store: has it moved?")
	}
}

// TestHeavyLibrariesStayWhereTheyAreUsed: a driver or a terminal library in a
// core package would come along into every app.
func TestHeavyLibrariesStayWhereTheyAreUsed(t *testing.T) {
	for lib, where := range map[string][]string{
		"github.com/cockroachdb/pebble/v2":            {"store/pebble"},
		"github.com/apache/cassandra-gocql-driver/v2": {"store/cassandra"},
		"github.com/prometheus/client_golang":         {"server", "server/metrics", "store/pebble"}, // Pebble counts with it
		"connectrpc.com/connect/v2/connecthttp":       {"server"},
		"golang.org/x/crypto/acme":                    {"server/certs", "internal/acmetest"},
		"github.com/spf13/cobra":                      {},
		"github.com/vbauerster/mpb/v8":                {"internal/terminal/..."},
		"github.com/anishathalye/porcupine":           {"store/storetest"},
		"pgregory.net/rapid":                          {},
		"testing":                                     {"store/storetest", "bus/bustest"},
	} {
		for _, p := range packages(t) {
			uses := slices.ContainsFunc(p.Deps, func(d string) bool { return d == lib || strings.HasPrefix(d, lib+"/") })
			if uses && !matches(p.short(), where) && !matches(p.short(), above) {
				t.Errorf("%s reaches %s, which belongs to %v", p.short(), lib, where)
			}
		}
	}
}
