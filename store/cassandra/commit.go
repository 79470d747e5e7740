package cassandra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/reseal/reseal/store"
)

// tries is how often a batch with conditions is sent while its outcome is unknown.
const tries = 6

// Commit implements [store.Store]. Every batch is durable before it returns, also
// one that need not be.
func (s *Store) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	if err := s.schema.CheckBatch(p, b); err != nil {
		return err
	}
	if s.closed.Load() {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return unknown(err)
	}
	if s.careful {
		if err := s.unchanged(ctx, p, b); err != nil {
			return err
		}
	}
	if len(b.Conditions) > 0 {
		return s.decide(ctx, p, b)
	}
	batch := s.session.Batch(gocql.UnloggedBatch).SpeculativeExecutionPolicy(second())
	batch.Entries = entries(plain(p, b, s.now(), time.Now().UnixMicro()), true)
	if s.hold != nil {
		s.hold(p)
	}
	if err := batch.ExecContext(ctx); err != nil {
		return unknown(err)
	}
	return nil
}

func unknown(err error) error { return fmt.Errorf("%w: %w", store.ErrUnknown, err) }

func entries(list []statement, idempotent bool) []gocql.BatchEntry {
	all := make([]gocql.BatchEntry, len(list))
	for i, st := range list {
		all[i] = gocql.BatchEntry{Stmt: st.cql, Args: st.args, Idempotent: idempotent}
	}
	return all
}

// decide commits a batch with conditions. Until its outcome is known it is repeated:
// it has its effect once, because that changes the revisions that it asks for, and
// what it writes besides is the same each time.
func (s *Store) decide(ctx context.Context, p store.Partition, b *store.Batch) error {
	expired := make(map[store.Key]uint64)
	var unsure error
	if s.hold != nil {
		s.hold(p)
	}
	for try := range tries {
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				return unknown(errors.Join(err, unsure))
			}
		}
		now := s.now()
		applied, rows, err := s.transact(ctx, conditional(p, b, now, expired))
		if err != nil {
			unsure = err
			continue
		}
		if applied {
			return nil
		}
		current, hold, err := judge(b, rows, now, expired)
		switch {
		case err != nil:
			return unknown(err)
		case hold: // only expired rows were in the way, and expired has them now
			continue
		case unsure != nil && own(b, current):
			return nil
		case unsure != nil:
			return unknown(unsure)
		}
		return &store.Refused{Current: current}
	}
	if unsure == nil {
		unsure = errors.New("cassandra: expired records changed under the batch each time")
	}
	return unknown(unsure)
}

// pause waits longer after each try, so that those who compete come through.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(time.Duration(try*try)*10*time.Millisecond + rand.N(20*time.Millisecond))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// transact sends one lightweight transaction. A refusal has the rows on which there
// were conditions, by key, at one moment.
func (s *Store) transact(ctx context.Context, list []statement) (applied bool, rows map[store.Key]row, err error) {
	batch := s.session.Batch(gocql.UnloggedBatch).SerialConsistency(gocql.LocalSerial)
	batch.Entries = entries(list, false)
	columns := make(map[string]any)
	applied, iter, err := batch.MapExecCASContext(ctx, columns)
	if err != nil {
		if iter != nil {
			_ = iter.Close()
		}
		return false, nil, err
	}
	rows = make(map[store.Key]row)
	for !applied {
		if r, ok := rowOf(columns); ok {
			rows[store.Key(r.key)] = r
		}
		columns = make(map[string]any)
		if !iter.MapScan(columns) {
			break
		}
	}
	return applied, rows, iter.Close()
}

func rowOf(columns map[string]any) (r row, ok bool) {
	r.key, ok = columns["k"].([]byte)
	r.rev, _ = columns["rev"].(int64)
	r.expires, _ = columns["x"].(int64)
	r.token, _ = columns["t"].([]byte)
	r.value, _ = columns["v"].([]byte)
	return r, ok && len(r.key) > 0
}

// judge reads a refusal: the record of each condition, and whether all conditions
// hold once the expired rows, which it notes, are out of the way.
func judge(b *store.Batch, rows map[store.Key]row, now time.Time, expired map[store.Key]uint64) (current []store.Record, hold bool, err error) {
	hold = true
	for _, c := range b.Conditions {
		r := rows[c.Key]
		r.key = []byte(c.Key)
		rec, err := r.record(now, false)
		if err != nil {
			return nil, false, err
		}
		current = append(current, rec)
		hold = hold && c.Holds(rec)
		delete(expired, c.Key)
		if !rec.Present() && r.rev > 0 {
			expired[c.Key] = uint64(r.rev)
		}
	}
	return current, hold, nil
}

// own reports whether the batch took effect in an earlier try: its token stands in
// a record that it writes.
func own(b *store.Batch, current []store.Record) bool {
	for _, w := range b.Writes {
		for _, rec := range current {
			if w.Op == store.OpPut && rec.Present() && rec.Key == w.Key && rec.Token == w.Token {
				return true
			}
		}
	}
	return false
}

// unchanged looks for once records that are there with other bytes.
func (s *Store) unchanged(ctx context.Context, p store.Partition, b *store.Batch) error {
	for _, w := range b.Writes {
		if w.Op != store.OpPutOnce {
			continue
		}
		r, err := s.Get(ctx, p, w.Key)
		if err == nil && !bytes.Equal(r.Value, w.Value) {
			return store.ErrChanged
		}
		if err != nil && !errors.Is(err, store.ErrAbsent) {
			return unknown(err)
		}
	}
	return nil
}
