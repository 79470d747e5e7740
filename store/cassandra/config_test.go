package cassandra

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/storetest"
)

func TestParseURL(t *testing.T) {
	c, err := ParseURL("cassandra://joe@10.0.0.1,10.0.0.2:9043/reseal")
	if err != nil || c.User != "joe" || c.Keyspace != "reseal" || !slices.Equal(c.Hosts, []string{"10.0.0.1", "10.0.0.2:9043"}) {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, bad := range []string{
		"", "cassandra:", "cassandra://", "cassandra://host", "cassandra://host/", "cassandra:///space", "postgres://host/space",
		"cassandra://host,/space", "cassandra://host/Space", "cassandra://host/a;b", "cassandra://host/a/b", "cassandra://host/a?tls=1",
		"cassandra://joe:hunter2@host/space", "cassandra://joe:hunter2@host", "cassandra://joe:hunter2@ho st/%zz", "cassandra://host/" + strings.Repeat("k", 49),
	} {
		if _, err := ParseURL(bad); !errors.Is(err, ErrConfig) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("cassandra://joe@10.0.0.1,10.0.0.2:9043/reseal")
	f.Add("cassandra://joe:hunter2@host/space")
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := ParseURL(raw)
		if err == nil && (len(c.Hosts) == 0 || c.Keyspace == "" || c.Password != "") {
			t.Errorf("%q: %+v", raw, c)
		}
	})
}

// Nothing is tried with a bad configuration or schema.
func TestOpenRefuses(t *testing.T) {
	if _, err := Open(Config{}, storetest.Schema(), Options{}); !errors.Is(err, ErrConfig) {
		t.Errorf("no host: %v", err)
	}
	if _, err := Open(Config{Hosts: []string{"h"}, Keyspace: "k"}, store.Schema{{Prefix: "x"}}, Options{}); !errors.Is(err, store.ErrKind) {
		t.Errorf("bad schema: %v", err)
	}
	for _, c := range []struct {
		datacenter string
		copies     int
	}{{"dc'1", 3}, {"", 3}, {"dc1", 0}, {"dc1", 10}} {
		if err := Create(t.Context(), Config{Hosts: []string{"h"}, Keyspace: "k"}, c.datacenter, c.copies); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
