package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

const (
	// sampleSize is how long a sample of a content is, bytes.
	sampleSize = 32
	// samplesOf is how many places of a content are searched for.
	samplesOf = 48
	// leastNeedle is the shortest thing that is searched for: what is shorter
	// turns up by chance.
	leastNeedle = 8
	// leastVariety is how many different bytes a sample has: a run of zeros
	// says nothing.
	leastVariety = 12
)

// search looks for secrets in files, in the forms in which one would lie there
// unsealed: raw, hexadecimal, base64 at each of its three alignments.
type search struct {
	needles []needle
	// begins has a bit for the first three bytes of every needle, byFirst the
	// needles by their first four.
	begins  []uint64
	byFirst map[[4]byte][]int
	longest int
}

type needle struct {
	what, form string
	bytes      []byte
}

// finding is a secret where it must not be.
type finding struct {
	file       string
	offset     int64
	what, form string
}

func (f finding) String() string {
	return fmt.Sprintf("%s in %s at byte %d, %s", f.what, f.file, f.offset, f.form)
}

func newSearch(secrets []secret) *search {
	s := &search{begins: make([]uint64, 1<<24/64), byFirst: map[[4]byte][]int{}}
	seen := map[string]bool{}
	for _, x := range secrets {
		if len(x.value) < leastNeedle {
			continue
		}
		for form, values := range forms(x.value) {
			for _, v := range values {
				if len(v) < leastNeedle || seen[string(v)] {
					continue
				}
				seen[string(v)] = true
				s.add(needle{x.what, form, v})
			}
		}
	}
	return s
}

func (s *search) add(n needle) {
	first := [4]byte(n.bytes)
	s.byFirst[first] = append(s.byFirst[first], len(s.needles))
	bit := uint32(first[0])<<16 | uint32(first[1])<<8 | uint32(first[2])
	s.begins[bit/64] |= 1 << (bit % 64)
	s.needles = append(s.needles, n)
	s.longest = max(s.longest, len(n.bytes))
}

// forms are the ways to write a value. In base64 only whole groups are taken,
// from each of the places where a group may begin.
func forms(v []byte) map[string][][]byte {
	f := map[string][][]byte{
		"raw": {v},
		"hex": {[]byte(hex.EncodeToString(v)), []byte(strings.ToUpper(hex.EncodeToString(v)))},
	}
	for k := range 3 {
		if k+9 > len(v) { // fewer than 12 characters would be found by chance
			break
		}
		whole := v[k : k+(len(v)-k)/3*3]
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			f["base64"] = append(f["base64"], []byte(e.EncodeToString(whole)))
		}
	}
	return f
}

// in looks through a stream.
func (s *search) in(name string, r io.Reader) (found []finding, n int64, err error) {
	if len(s.needles) == 0 {
		return nil, 0, errors.New("demo: nothing to search for")
	}
	buf := make([]byte, 1<<20+s.longest)
	have, base := 0, int64(0)
	for {
		k, err := io.ReadFull(r, buf[have:])
		have += k
		n += int64(k)
		last := err != nil
		if last && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return found, n, err
		}
		end := have - s.longest // behind it a needle may not be whole yet
		if last {
			end = have - leastNeedle + 1
		}
		found = s.window(found, name, base, buf[:have], max(end, 0))
		if last {
			return found, n, nil
		}
		copy(buf, buf[end:have])
		base, have = base+int64(end), have-end
	}
}

func (s *search) window(found []finding, name string, base int64, b []byte, end int) []finding {
	for i := range end {
		bit := uint32(b[i])<<16 | uint32(b[i+1])<<8 | uint32(b[i+2])
		if s.begins[bit/64]&(1<<(bit%64)) == 0 {
			continue
		}
		for _, k := range s.byFirst[[4]byte(b[i:])] {
			if n := s.needles[k]; bytes.HasPrefix(b[i:], n.bytes) {
				found = append(found, finding{name, base + int64(i), n.what, n.form})
			}
		}
	}
	return found
}

// seen is what a search has looked through.
type seen struct {
	files int
	bytes int64
	found []finding
}

// inFolders looks through every file below folders, names included, and through
// single files. Files that go away meanwhile are passed over.
func (s *search) inFolders(paths ...string) (seen, error) {
	var out seen
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			}
			found, _, err := s.in("the name "+path, strings.NewReader(filepath.Base(path)))
			if err != nil {
				return err
			}
			out.found = append(out.found, found...)
			if !d.Type().IsRegular() {
				return nil
			}
			f, err := os.Open(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			defer f.Close()
			found, n, err := s.in(path, f)
			out.files++
			out.bytes += n
			out.found = append(out.found, found...)
			return err
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// add takes another search's result in.
func (s *seen) add(o seen) {
	s.files += o.files
	s.bytes += o.bytes
	s.found = append(s.found, o.found...)
}

// err is nil if nothing was found.
func (s *seen) err() error {
	if len(s.found) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d found:", len(s.found))
	for _, f := range s.found[:min(len(s.found), 5)] {
		b.WriteString("\n" + f.String())
	}
	return errors.New(b.String())
}

// samples are places of a content that are worth searching for: spread over the
// whole of it, and not of the kind that occurs everywhere.
func samples(r io.ReaderAt, size int64) ([][]byte, error) {
	if size < sampleSize {
		b := make([]byte, size)
		if _, err := r.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return [][]byte{b}, nil
	}
	var out [][]byte
	step := max((size-sampleSize)/(samplesOf-1), 1)
	for at := int64(0); at <= size-sampleSize && len(out) < samplesOf; at += step {
		b := make([]byte, sampleSize)
		if _, err := r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if variety(b) >= leastVariety {
			out = append(out, b)
		}
	}
	return out, nil
}

func variety(b []byte) int {
	seen := map[byte]bool{}
	for _, c := range b {
		seen[c] = true
	}
	return len(seen)
}

// kinds counts secrets by what they are, for people: "3 passwords".
func kinds(secrets []secret) (out map[string]int, names []string) {
	out = map[string]int{}
	for _, s := range secrets {
		if out[s.what]++; out[s.what] == 1 {
			names = append(names, s.what)
		}
	}
	sort.Strings(names)
	return out, names
}
