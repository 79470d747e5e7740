package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/reseal/reseal/store"
)

// Options are for tests; the zero value is what servers use.
type Options struct {
	Clock func() time.Time // by which expiry is judged; nil is time.Now
	// Careful reads before once records are written, and reports other bytes under
	// a key as [store.ErrChanged]. It costs a read for each.
	Careful bool
}

// Store is one server node's view of the cluster. Safe for concurrent use.
type Store struct {
	session  *gocql.Session
	schema   store.Schema
	now      func() time.Time
	careful  bool
	closed   atomic.Bool
	examined atomic.Uint64
	hold     func(store.Partition) // by tests: before a stamped batch is sent
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Lister = (*Store)(nil)
)

// Open connects to a cluster in which [Create] has been called.
func Open(c Config, schema store.Schema, o Options) (*Store, error) {
	if err := errors.Join(c.check(), schema.Check()); err != nil {
		return nil, err
	}
	g := c.cluster(c.Keyspace)
	session, err := gocql.NewSession(*g)
	if err != nil {
		return nil, fmt.Errorf("cassandra: connecting: %w", err)
	}
	s := &Store{session: session, schema: schema, now: o.Clock, careful: o.Careful}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// Close implements [store.Store].
func (s *Store) Close() error {
	if !s.closed.Swap(true) {
		s.session.Close()
	}
	return nil
}

// Examined counts the rows that reads have got from the cluster.
func (s *Store) Examined() uint64 { return s.examined.Load() }

// query is a read: safe to repeat, and sent to a second host if the first is slow.
// A serial one would compete there with itself, so [repeat] repeats it.
func (s *Store) query(cql string, serial bool, args ...any) *gocql.Query {
	q := s.session.Query(cql, args...)
	if serial {
		return q.Consistency(gocql.LocalSerial).Idempotent(false)
	}
	return q.Idempotent(true).SetSpeculativeExecutionPolicy(second())
}

// repeat tries a serial read again, later each time, when those who compete with it
// made the database give up.
func repeat(ctx context.Context, serial bool, read func() error) error {
	err := read()
	for try := 1; serial && try < tries && err != nil && !errors.Is(err, gocql.ErrNotFound); try++ {
		if pause(ctx, try) != nil {
			break
		}
		err = read()
	}
	return err
}

// second sends what is safe to repeat to one more host after 150 ms.
func second() gocql.SpeculativeExecutionPolicy {
	return &gocql.SimpleSpeculativeExecution{NumAttempts: 1, TimeoutDelay: 150 * time.Millisecond}
}

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, p store.Partition, k store.Key) (store.Record, error) {
	if err := s.schema.CheckGet(p, k); err != nil {
		return store.Record{}, err
	}
	if s.closed.Load() {
		return store.Record{}, store.ErrClosed
	}
	kind, err := s.schema.KindOf(k)
	if err != nil {
		return store.Record{}, err
	}
	var r row
	serial := kind == store.Decided
	err = repeat(ctx, serial, func() error {
		return s.query(getCQL, serial, []byte(p), []byte(k)).ScanContext(ctx, &r.key, &r.rev, &r.expires, &r.token, &r.value)
	})
	if errors.Is(err, gocql.ErrNotFound) {
		return store.Record{}, store.ErrAbsent
	}
	if err != nil {
		return store.Record{}, fmt.Errorf("cassandra: get: %w", err)
	}
	s.examined.Add(1)
	rec, err := r.record(s.now(), false)
	if err == nil && !rec.Present() {
		err = store.ErrAbsent
	}
	if err != nil {
		return store.Record{}, err
	}
	return rec, nil
}
