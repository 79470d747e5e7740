package cassandra

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/storetest"
)

var at = time.UnixMilli(1_800_000_000_000)

func TestRecord(t *testing.T) {
	token := []byte("0123456789abcdef")
	soon, past := at.Add(time.Minute).UnixMilli(), at.UnixMilli()
	for name, c := range map[string]struct {
		row     row
		present bool
		damaged bool
	}{
		"once":           {row{[]byte("o/1"), 1, math.MaxInt64, nil, valueColumn([]byte("v"))}, true, false},
		"decided":        {row{[]byte("d"), 9, soon, token, valueColumn([]byte("v"))}, true, false},
		"expired":        {row{[]byte("d"), 9, past, token, valueColumn([]byte("v"))}, false, false},
		"no row":         {row{key: []byte("d")}, false, false},
		"no value":       {row{[]byte("d"), 9, soon, token, nil}, false, true},
		"another mark":   {row{[]byte("d"), 9, soon, token, []byte{2, 'v'}}, false, true},
		"short token":    {row{[]byte("d"), 9, soon, token[:15], valueColumn([]byte("v"))}, false, true},
		"negative":       {row{[]byte("d"), -1, soon, token, valueColumn([]byte("v"))}, false, true},
		"expired before": {row{[]byte("d"), 1, -5, token, valueColumn([]byte("v"))}, false, true},
	} {
		r, err := c.row.record(at, false)
		if errors.Is(err, store.ErrDamaged) != c.damaged || r.Present() != c.present {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if c.present && (string(r.Value) != "v" || r.Rev != uint64(c.row.rev)) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r, err := (row{[]byte("o/1"), 1, math.MaxInt64, nil, valueColumn(nil)}).record(at, false); err != nil || !r.Present() || r.Expires != 0 || len(r.Value) != 0 {
		t.Errorf("empty value: %+v, %v", r, err)
	}
}

// The database never drops a row before its expiry and the grace behind it.
func TestSeconds(t *testing.T) {
	if n := seconds(0, at); n != 0 {
		t.Errorf("a row for ever lives %d s", n)
	}
	if n := seconds(at.Add(100*365*24*time.Hour).UnixMilli(), at); n != 0 {
		t.Errorf("more than the database takes: %d s", n)
	}
	for _, d := range []time.Duration{-time.Hour, 0, time.Millisecond, time.Second, 1500 * time.Millisecond, longest} {
		left := time.Duration(seconds(at.Add(d).UnixMilli(), at)) * time.Second
		if left < max(d, 0)+grace || left > max(d, 0)+grace+2*time.Second {
			t.Errorf("%v ahead: the row lives %v", d, left)
		}
	}
}

func TestPlainStatements(t *testing.T) {
	b := new(store.Batch).PutOnce("o/1", nil, 0).DeleteOnce("o/2")
	list := plain("p", b, at, 1000)
	if len(list) != 2 || list[0].cql != putPlainCQL || list[1].cql != deletePlainCQL {
		t.Fatalf("%+v", list)
	}
	put, del := list[0].args[5].(int64), list[1].args[0].(int64)
	if put != 1000 || del-put < (2*store.ClockTolerance).Microseconds() {
		t.Errorf("put stamped %d, delete %d: a clock ahead would undo the delete", put, del)
	}
}

func TestConditionalStatements(t *testing.T) {
	tok := store.Token{1}
	b := new(store.Batch).Create("d/new", []byte("n"), tok, 0).Replace("d/old", 7, []byte("o"), tok, 0).RevIs("d/check", 3).PutOnce("o/1", nil, 0)
	list := conditional("p", b, at, map[store.Key]uint64{"d/new": math.MaxInt32})
	conditions := 0
	for _, st := range list {
		if strings.Contains(st.cql, "TIMESTAMP") {
			t.Errorf("the database refuses a stamp under conditions: %s", st.cql)
		}
		if strings.Count(st.cql, "?") != len(st.args) {
			t.Errorf("%d arguments for %s", len(st.args), st.cql)
		}
		if strings.Contains(st.cql, " IF ") {
			conditions++
		}
	}
	if len(list) != 4 || conditions != 3 {
		t.Fatalf("%d statements, %d conditions", len(list), conditions)
	}
	if rev := list[2].args[1]; rev != int64(8) {
		t.Errorf("revision %v over 7", rev)
	}
	first := conditional("p", b, at, nil)[1]
	if rev := first.args[1].(int64); !strings.HasSuffix(first.cql, ifAbsent) || rev != at.UnixMicro() {
		t.Errorf("new record: revision %d, %s", rev, first.cql)
	}
	// Over an expired row of a clock that was ahead, the revision grows.
	ahead := uint64(at.Add(time.Hour).UnixMicro())
	over := conditional("p", b, at, map[store.Key]uint64{"d/new": ahead})[1]
	if rev := over.args[1].(int64); !strings.HasSuffix(over.cql, ifExpired) || uint64(rev) != ahead+1 {
		t.Errorf("over an expired row: revision %d, %s", rev, over.cql)
	}
}

func TestJudge(t *testing.T) {
	mine, other := store.Token{1}, store.Token{2}
	stored := func(rev, expires int64, tok store.Token) row {
		return row{rev: rev, expires: expires, token: tok[:], value: valueColumn([]byte("v"))}
	}
	b := new(store.Batch).Create("d/1", []byte("v"), mine, 0).RevIs("d/2", 5)
	expired := map[store.Key]uint64{}
	rows := map[store.Key]row{"d/1": stored(4, at.UnixMilli(), other), "d/2": stored(5, math.MaxInt64, other)}
	if _, hold, err := judge(b, rows, at, expired); err != nil || !hold || expired["d/1"] != 4 {
		t.Errorf("an expired row in the way: hold %v, %v, %v", hold, expired, err)
	}
	rows["d/1"] = stored(6, math.MaxInt64, other)
	current, hold, err := judge(b, rows, at, expired)
	if err != nil || hold || len(expired) != 0 || own(b, current) || current[0].Rev != 6 || current[1].Rev != 5 {
		t.Errorf("another's record: hold %v, own %v, %+v, %v", hold, own(b, current), current, err)
	}
	rows["d/1"] = stored(6, math.MaxInt64, mine)
	if current, _, _ = judge(b, rows, at, expired); !own(b, current) {
		t.Error("its own record is not known by the token")
	}
	rows["d/1"] = row{rev: 6, expires: math.MaxInt64}
	if _, _, err := judge(b, rows, at, expired); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a row without a value: %v", err)
	}
}

func TestMayBeDecided(t *testing.T) {
	s := &Store{schema: storetest.Schema()}
	for _, c := range []struct {
		from, to store.Key
		want     bool
	}{{"", "", true}, {"o/", "", false}, {"o/", "o0", false}, {"d", "d\x00", true}, {"d/\xff", "e", true}, {"d0", "", false}, {"", "d", false}, {"", "d\x00", true}} {
		if got := s.mayBeDecided(c.from, c.to); got != c.want {
			t.Errorf("%q to %q: %v", c.from, c.to, got)
		}
	}
}
