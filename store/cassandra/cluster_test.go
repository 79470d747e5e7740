package cassandra

import (
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/storetest"
)

var cluster = flag.String("cassandra", "", "hosts of a running cluster, separated by commas, for TestContract")

// TestContract is the suite against a real cluster, which the flag names.
func TestContract(t *testing.T) {
	if *cluster == "" {
		t.Log("no cluster: the suite runs with -cassandra HOST,HOST,HOST (see CONTRIBUTING.md)")
		return
	}
	var keyspaces atomic.Int64
	began := time.Now().Unix()
	storetest.Run(t, func(t *testing.T) *storetest.Harness {
		c := Config{Hosts: strings.Split(*cluster, ","), Keyspace: fmt.Sprintf("t%d_%d", began, keyspaces.Add(1)), Timeout: 10 * time.Second}
		return openCluster(t, c)
	})
}

func openCluster(t *testing.T, c Config) *storetest.Harness {
	if err := Create(t.Context(), c, "datacenter1", min(3, len(c.Hosts))); err != nil {
		t.Fatal(err)
	}
	clock := storetest.NewClock()
	h := &storetest.Harness{Clock: clock}
	for _, skew := range []time.Duration{0, store.ClockTolerance / 2, -store.ClockTolerance / 2} {
		s, err := Open(c, storetest.Schema(), Options{Clock: clock.Skewed(skew), Careful: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		h.Nodes = append(h.Nodes, s)
	}
	h.Examined = h.Nodes[0].(*Store).Examined
	h.Sweep = func(*testing.T) {} // the database's own business
	h.Late = func(t *testing.T, p store.Partition, b *store.Batch) (func(), error) {
		s, err := Open(c, storetest.Schema(), Options{Clock: clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		stamped, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		s.hold = func(store.Partition) { close(stamped); <-release }
		go func() { done <- s.Commit(t.Context(), p, b) }()
		<-stamped
		return func() {
			close(release)
			if err := <-done; err != nil {
				t.Logf("late commit: %v", err)
			}
			_ = s.Close()
		}, store.ErrUnknown
	}
	return h
}
