package capsule

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"testing"
)

// After a recovery another code opens the account: its root still has the next
// key that the lists commit to, and the old code opens nothing any more.
func TestRootMovesToAnotherCode(t *testing.T) {
	c, _, p := example(t)
	first := RecoveryCode{b: [16]byte(fill(16, 0x70))}
	second := RecoveryCode{b: [16]byte(fill(16, 0x71))}
	sealed, err := first.Root(c.Account).Seal(rand.Reader, first.RootKey(), p.Account)
	if err != nil || len(sealed) != RootSize {
		t.Fatal(len(sealed), err)
	}
	r, err := OpenRoot(sealed, first.RootKey(), p.Account)
	if err != nil {
		t.Fatal(err)
	}
	if sealed, err = r.Seal(rand.Reader, second.RootKey(), p.Account); err != nil {
		t.Fatal(err)
	}
	got, err := OpenRoot(sealed, second.RootKey(), p.Account)
	if err != nil || !bytes.Equal(got.Next.Seed(), first.NextKey().Seed()) || !bytes.Equal(got.Account.Seed(), c.Account.Seed()) {
		t.Errorf("the next key did not come along: %v", err)
	}
	if _, err := OpenRoot(sealed, first.RootKey(), p.Account); err != ErrOpen {
		t.Errorf("the old code: %v", err)
	}
	// Nothing in the capsule opens it.
	for _, k := range [][KeySize]byte{c.Recovery.Bytes(), c.Row.Bytes(), c.Book.Bytes(), c.Share.Bytes()} {
		if _, err := OpenRoot(sealed, RootKeyOf(k), p.Account); err != ErrOpen {
			t.Errorf("a key of the capsule: %v", err)
		}
	}
	if _, err := (Root{Account: c.Account, Next: c.Account}).Seal(rand.Reader, first.RootKey(), p.Account); err != ErrIncomplete {
		t.Errorf("a root whose two keys are one: %v", err)
	}
	if s := fmt.Sprintf("%v %d %+v", first.RootKey(), first.RootKey(), first.RootKey()); s != "hidden hidden hidden" {
		t.Error(s)
	}
}

func FuzzOpenRoot(f *testing.F) {
	c, _, p := example(f)
	code := RecoveryCode{b: [16]byte(fill(16, 0x70))}
	sealed, err := code.Root(c.Account).Seal(bytes.NewReader(fill(12, 0xa0)), code.RootKey(), p.Account)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := OpenRoot(b, code.RootKey(), p.Account)
		if err != nil {
			return
		}
		again, err := r.Seal(bytes.NewReader(b[2:14]), code.RootKey(), p.Account)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x has another form %x, %v", b, again, err)
		}
	})
}
