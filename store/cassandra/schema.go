package cassandra

import (
	"context"
	"fmt"
	"regexp"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// Schema is the table of all records, for a keyspace that exists.
//
// gc_grace_seconds is how long a node may be away before it must be repaired.
// Rows are not cached, since most are read once. A read or write that one replica
// does not answer within 50 ms is sent to another, so that a lost node costs that
// long. Reads repair what they find (the default, which quorum reads rely on).
//
//   - p, k: partition and key, ordered bytewise
//   - rev: the revision; without it there is no record
//   - x: the expiry in milliseconds since the Unix epoch, the largest bigint for never
//   - t: the writer's token, of decided records
//   - v: one byte 1, then the value; so an empty one differs from none
//   - chk: never set; deleting it carries a condition on a row that is not written
const Schema = `CREATE TABLE IF NOT EXISTS rec (p blob, k blob, rev bigint, x bigint, t blob, v blob, chk boolean, PRIMARY KEY (p, k))
 WITH gc_grace_seconds = 10800
 AND compaction = {'class': 'UnifiedCompactionStrategy'}
 AND speculative_retry = '50ms' AND additional_write_policy = '50ms'
 AND caching = {'keys': 'ALL', 'rows_per_partition': 'NONE'}`

// keyspaceName is what needs no quotes in CQL.
var keyspaceName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// Create makes the keyspace, with so many copies of each record in the data centre
// of that name, and the table in it. What exists is left as it is, so that it may be
// repeated.
func Create(ctx context.Context, c Config, datacenter string, copies int) error {
	if err := c.check(); err != nil {
		return err
	}
	if !datacenterName.MatchString(datacenter) || copies < 1 || copies > 9 {
		return fmt.Errorf("%w: data centre %q with %d copies", ErrConfig, datacenter, copies)
	}
	s, err := gocql.NewSession(*c.cluster(""))
	if err != nil {
		return fmt.Errorf("cassandra: connecting: %w", err)
	}
	defer s.Close()
	keyspace := fmt.Sprintf("CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d}", c.Keyspace, datacenter, copies)
	if err := s.Query(keyspace).ExecContext(ctx); err != nil {
		return fmt.Errorf("cassandra: creating the keyspace: %w", err)
	}
	if err := s.AwaitSchemaAgreement(ctx); err != nil {
		return fmt.Errorf("cassandra: waiting for the keyspace: %w", err)
	}
	in, err := gocql.NewSession(*c.cluster(c.Keyspace))
	if err != nil {
		return fmt.Errorf("cassandra: connecting: %w", err)
	}
	defer in.Close()
	if err := in.Query(Schema).ExecContext(ctx); err != nil {
		return fmt.Errorf("cassandra: creating the table: %w", err)
	}
	if err := in.AwaitSchemaAgreement(ctx); err != nil {
		return fmt.Errorf("cassandra: waiting for the table: %w", err)
	}
	return nil
}

// datacenterName is what needs no escapes in a CQL string.
var datacenterName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
