package demo

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// records is what the store of a server that has ended contains, as the engine
// gives it back: its files are compressed, and compression could hide from a
// search what it does not hide from anybody else.
type records struct {
	n, bytes int
	found    []finding
	handles  []string
	// kinds counts the records by the kind of partition and the name of the
	// key, as package records lays them out.
	kinds map[string]int
	// ended and pending are the messages that are over and that wait: the keys
	// of their records, which sender and recipient each have one of.
	ended, pending map[string]bool
}

// readRecords reads a copy of the store below data, so that the original stays
// as the server left it.
func readRecords(s *search, data string) (*records, error) {
	tmp, err := os.MkdirTemp("", "reseal-demo-store-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := os.CopyFS(filepath.Join(tmp, "db"), os.DirFS(filepath.Join(data, "store", "db"))); err != nil {
		return nil, err
	}
	db, err := pebble.Open(filepath.Join(tmp, "db"), &pebble.Options{ErrorIfNotExists: true, Logger: quiet{}})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	it, err := db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	r := &records{kinds: map[string]int{}, ended: map[string]bool{}, pending: map[string]bool{}}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		r.n++
		r.bytes += len(it.Key()) + len(value)
		for _, b := range [][]byte{it.Key(), value} {
			found, _, err := s.in("a record of the store", bytes.NewReader(b))
			if err != nil {
				return nil, err
			}
			r.found = append(r.found, found...)
		}
		r.count(it.Key())
	}
	return r, it.Error()
}

// count notes what kind of record a row is: 'r' ‖ partition ‖ 00 01 ‖ key.
func (r *records) count(row []byte) {
	if len(row) == 0 || row[0] != 'r' {
		return
	}
	partition, key, ok := bytes.Cut(row[1:], []byte{0, 1})
	if !ok {
		return
	}
	name, _, _ := bytes.Cut(key, []byte("/"))
	kind := string(partition[:1]) + "/" + string(name)
	r.kinds[kind]++
	switch kind {
	case "H/id":
		r.handles = append(r.handles, string(partition[2:]))
	case "T/e":
		r.ended[string(key)] = true
	case "T/m":
		r.pending[string(key)] = true
	}
}

// quiet keeps the engine from writing to our standard error.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic("demo: the copy of the store cannot be read: " + fmt.Sprintf(format, args...))
}

// blobs are the sizes of the ciphertexts that lie at the server, ascending.
func blobs(data string) (sizes []int64, err error) {
	all := map[string]int64{}
	err = filepath.WalkDir(filepath.Join(data, "blobs", "objects"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreAbsent(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreAbsent(err)
		}
		if d.Name() != "segments" && !strings.HasPrefix(d.Name(), "in-") {
			all[filepath.Dir(path)] += info.Size()
		}
		return nil
	})
	for _, n := range all {
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	return sizes, err
}

// ignoreAbsent passes over what the server deletes while we look.
func ignoreAbsent(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
