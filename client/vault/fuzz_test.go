package vault

import (
	"bytes"
	"testing"

	"github.com/reseal/reseal/identity"
)

func inputs(f *testing.F, entry string) {
	for _, s := range generate() {
		if s.Entry == entry {
			f.Add(unhexMust(s.Input))
		}
	}
}

func FuzzHeader(f *testing.F) {
	inputs(f, "header")
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := parseHeader(b); err == nil && !bytes.Equal(got.encode(), b) {
			t.Fatalf("%x is read but not written", b)
		}
	})
}

func FuzzSession(f *testing.F) {
	inputs(f, "session")
	f.Fuzz(func(t *testing.T, b []byte) {
		name := sessionName(identity.AccountID{1})
		if r, err := parseSession(name, b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Fatalf("%x is read but not written", b)
		}
		// Whoever does not have the keyring's secret makes no record that opens.
		v := &Vault{keyring: oneSecret(bytes.Repeat([]byte{7}, 32))}
		good := unhexMust(generate()["wrapped-good"].Input)
		if r, err := v.readSession(name, b); err == nil && r.Kept && !bytes.Equal(b, good) {
			t.Fatalf("%x opens", b)
		}
	})
}

// FuzzEnded: the note of an end is a whole one, or says no more than that there
// was one.
func FuzzEnded(f *testing.F) {
	inputs(f, "ended")
	f.Fuzz(func(t *testing.T, b []byte) {
		if e := parseEnd(b); e != EndSession && !bytes.Equal(e.encode(), b) {
			t.Fatalf("%x is read as %d", b, e)
		}
	})
}

// FuzzJournal: whoever has no key changes nothing unnoticed: what replays is a
// beginning of what was written.
func FuzzJournal(f *testing.F) {
	inputs(f, "journal")
	head, _, share := example()
	value := share.Value.Bytes()
	k := databaseKeys(&head, &value)
	whole := unhexMust(generate()["journal-good"].Input)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := replay(k, "journal", head.journalHash(), b, newRecords())
		if err == nil && !bytes.HasPrefix(whole, b[:c.end]) {
			t.Fatalf("%x replays", b)
		}
	})
}

// FuzzRecords and FuzzBatch read what is inside the seal.
func FuzzRecords(f *testing.F) {
	f.Add(exampleRecords().encode(1000))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRecords(b); err == nil && !bytes.Equal(r.encode(len(b)), b) {
			t.Fatalf("%x is read but not written", b)
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 1, 0, 1, 'n', 0, 0, 0, 1, 'v', 0, 0})
	f.Add([]byte{0, 0, 0, 1, 2, 0, 1, 'n', 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if batch, err := parseBatch(b); err == nil {
			for _, w := range batch {
				if len(w.Name) == 0 || len(w.Name) > MaxName || len(w.Value) > MaxValue {
					t.Fatalf("%q", w)
				}
			}
		}
	})
}
