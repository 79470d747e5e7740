package roster

import (
	"errors"
	"fmt"
	"testing"
)

var errBad = errors.New("bad")

// What was read is remembered for the same bytes, what did not pass is not, and
// no more than the bound is kept.
func TestMemo(t *testing.T) {
	parsed := map[string]int{}
	m := newMemo(func(b []byte) (string, error) {
		parsed[string(b)]++
		if string(b) == "bad" {
			return "", errBad
		}
		return "read " + string(b), nil
	})
	b := []byte("a")
	for range 3 {
		if v, err := m.read(b); err != nil || v != "read a" {
			t.Fatalf("%q %v", v, err)
		}
		if _, err := m.read([]byte("bad")); err != errBad {
			t.Fatalf("what does not pass passes: %v", err)
		}
	}
	if parsed["a"] != 1 || parsed["bad"] != 3 {
		t.Errorf("parsed %v", parsed)
	}
	b[0] = 'b' // the caller's to change
	if v, _ := m.read([]byte("a")); v != "read a" || parsed["a"] != 1 {
		t.Errorf("%q, parsed %v", v, parsed)
	}
	for i := range 3 * maxMemo {
		if v, err := m.read([]byte("a")); err != nil || v != "read a" {
			t.Fatalf("%q %v", v, err)
		}
		if _, err := m.read([]byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.kept.Len(); n > maxMemo {
		t.Errorf("%d are remembered, at most %d may be", n, maxMemo)
	}
	if parsed["a"] != 1 {
		t.Errorf("what is looked at all the time was dropped: parsed %d times", parsed["a"])
	}
}

// What is remembered keeps nothing of the bytes that it was read from: they are
// the store's.
func TestMemoKeepsNothingOfTheBytes(t *testing.T) {
	m := newMemo(func(b []byte) ([]byte, error) { return b, nil })
	b := []byte("what the store has")
	first, err := m.read(b)
	if err != nil {
		t.Fatal(err)
	}
	b[0] = 'W'
	if string(first) != "what the store has" {
		t.Errorf("%q", first)
	}
	b[0] = 'w'
	if n := testing.AllocsPerRun(100, func() {
		if _, err := m.read(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations to read what is remembered", n)
	}
}
