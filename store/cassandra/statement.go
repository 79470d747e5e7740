package cassandra

import (
	"math"
	"time"

	"github.com/reseal/reseal/store"
)

// The statements. Conditions name every column, always true for t and v, because a
// refusal returns the columns that conditions name; so it has the whole record.
const (
	columns = "k, rev, x, t"
	getCQL  = "SELECT " + columns + ", v FROM rec WHERE p = ? AND k = ?"

	putPlainCQL    = "INSERT INTO rec (p, k, rev, x, v) VALUES (?, ?, 1, ?, ?) USING TTL ? AND TIMESTAMP ?"
	deletePlainCQL = "DELETE FROM rec USING TIMESTAMP ? WHERE p = ? AND k = ?"
	putCQL         = "INSERT INTO rec (p, k, rev, x, v) VALUES (?, ?, 1, ?, ?) USING TTL ?"

	// UPDATE and not INSERT: an INSERT leaves a row of nulls behind a later
	// UPDATE with a shorter life.
	updateCQL  = "UPDATE rec USING TTL ? SET rev = ?, x = ?, t = ?, v = ? WHERE p = ? AND k = ?"
	checkCQL   = "DELETE chk FROM rec WHERE p = ? AND k = ?"
	ifAbsent   = " IF rev = null AND x != -1 AND t != 0x00 AND v != 0x00"
	ifExpired  = " IF rev = ? AND x != -1 AND t != 0x00 AND v != 0x00"
	ifRevision = " IF rev = ? AND x > ? AND t != 0x00 AND v != 0x00"
)

// statement is one of a batch, with what it binds.
type statement struct {
	cql  string
	args []any
}

// plain are the statements of a batch without conditions, stamped at stamp
// (microseconds since the Unix epoch).
func plain(p store.Partition, b *store.Batch, now time.Time, stamp int64) []statement {
	list := make([]statement, 0, len(b.Writes))
	for _, w := range b.Writes {
		if w.Op == store.OpDeleteOnce {
			list = append(list, statement{deletePlainCQL, []any{stamp + deleteAhead.Microseconds(), []byte(p), []byte(w.Key)}})
			continue
		}
		list = append(list, statement{putPlainCQL, []any{[]byte(p), []byte(w.Key), expiryColumn(w.Expires), valueColumn(w.Value), seconds(w.Expires, now), stamp}})
	}
	return list
}

// conditional are the statements of a batch with conditions. expired are the
// revisions of expired rows that stand where the batch wants none.
func conditional(p store.Partition, b *store.Batch, now time.Time, expired map[store.Key]uint64) []statement {
	writes := make(map[store.Key]store.Write, len(b.Writes))
	list := make([]statement, 0, len(b.Writes)+len(b.Conditions))
	for _, w := range b.Writes {
		writes[w.Key] = w
		if w.Op == store.OpPutOnce {
			list = append(list, statement{putCQL, []any{[]byte(p), []byte(w.Key), expiryColumn(w.Expires), valueColumn(w.Value), seconds(w.Expires, now)}})
		}
	}
	for _, c := range b.Conditions {
		list = append(list, condition(p, c, writes, now, expired[c.Key]))
	}
	return list
}

func condition(p store.Partition, c store.Condition, writes map[store.Key]store.Write, now time.Time, old uint64) statement {
	st := statement{checkCQL, nil}
	next := c.Rev + 1
	if c.Rev == 0 {
		// From the clock, in microseconds: above those of a record that went.
		next = max(uint64(max(now.UnixMicro(), 1)), old+1)
	}
	if w, ok := writes[c.Key]; ok {
		st = statement{updateCQL, []any{seconds(w.Expires, now), int64(next), expiryColumn(w.Expires), w.Token[:], valueColumn(w.Value)}}
	}
	st.args = append(st.args, []byte(p), []byte(c.Key))
	switch {
	case c.Rev != 0:
		// A revision beyond the column never was: refused like any other.
		rev := int64(-1)
		if c.Rev < math.MaxInt64 {
			rev = int64(c.Rev)
		}
		st.cql += ifRevision
		st.args = append(st.args, rev, now.UnixMilli())
	case old != 0:
		st.cql += ifExpired
		st.args = append(st.args, int64(old))
	default:
		st.cql += ifAbsent
	}
	return st
}

// rangeCQL reads from <= k, to a bound if there is one.
func rangeCQL(keysOnly, bound bool) string {
	cql := "SELECT " + columns
	if !keysOnly {
		cql += ", v"
	}
	cql += " FROM rec WHERE p = ? AND k >= ?"
	if bound {
		cql += " AND k < ?"
	}
	return cql + " LIMIT ?"
}
