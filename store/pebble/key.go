package pebble

import (
	"encoding/binary"
	"strings"

	"github.com/reseal/reseal/store"
)

// First bytes of the three kinds of Pebble keys.
const (
	rowSpace   = 'r'
	indexSpace = 'x'
	metaSpace  = 'm'
)

// partitionEnd closes a partition's name. In the name 0x00 is always followed by
// 0xff, so the name of one partition never begins another's.
const partitionEnd = "\x00\x01"

// rowPrefix is what the Pebble keys of all rows of p start with.
func rowPrefix(p store.Partition) []byte { return rowKey(p, "") }

// rowKey is the Pebble key of a row. In the partition's name 0xff comes after each
// 0x00, so that the name's end is told from what is in it.
func rowKey(p store.Partition, k store.Key) []byte {
	b := make([]byte, 0, 1+len(p)+strings.Count(string(p), "\x00")+len(partitionEnd)+len(k))
	b = append(b, rowSpace)
	for i := range len(p) {
		if b = append(b, p[i]); p[i] == 0 {
			b = append(b, 0xff)
		}
	}
	b = append(b, partitionEnd...)
	return append(b, k...)
}

var unescapeZero = strings.NewReplacer("\x00\xff", "\x00")

// rowOf is the inverse of rowKey. The end of a partition's name is the first
// 0x00 that 0x01 follows: within the name 0xff does.
func rowOf(row []byte) (p store.Partition, k store.Key, ok bool) {
	if len(row) == 0 || row[0] != rowSpace {
		return "", "", false
	}
	name, key, ok := strings.Cut(string(row[1:]), partitionEnd)
	return store.Partition(unescapeZero.Replace(name)), store.Key(key), ok
}

// rowBounds are the Pebble keys of from (inclusive) and to (exclusive) in p.
func rowBounds(p store.Partition, from, to store.Key) (lower, upper []byte) {
	lower = rowKey(p, from)
	if to != "" {
		return lower, rowKey(p, to)
	}
	upper = rowPrefix(p)
	upper[len(upper)-1]++
	return lower, upper
}

// indexKey is the place of a row in the expiry index.
func indexKey(expires int64, row []byte) []byte {
	b := make([]byte, 0, 8+len(row))
	b = append(b, indexSpace)
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	return append(b, row[1:]...)
}

// indexed is the inverse of indexKey.
func indexed(b []byte) (expires int64, row []byte, ok bool) {
	if len(b) < 9 || b[0] != indexSpace {
		return 0, nil, false
	}
	row = append([]byte{rowSpace}, b[9:]...)
	return int64(binary.BigEndian.Uint64(b[1:9])), row, true
}

func metaKey(name string) []byte { return append([]byte{metaSpace}, name...) }
