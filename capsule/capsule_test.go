package capsule

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
)

// fill is n bytes that differ from place to place, so that swapped fields show.
func fill(n int, from byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func key(from byte) [32]byte { return [32]byte(fill(32, from)) }

func example(t testing.TB) (Capsule, opaque.ExportKey, Place) {
	t.Helper()
	ak, err := identity.AccountKeyFromSeed(fill(32, 1))
	if err != nil {
		t.Fatal(err)
	}
	code := RecoveryCode{b: [16]byte(fill(16, 0x70))}
	c := Capsule{
		Account: ak, Row: RowKeyOf(key(2)), Book: BookKeyOf(key(3)), Share: ShareKeyOf(key(4)),
		List: Head{5, key(6)}, BookHead: Head{7, key(8)}, Recovery: code.Key(),
	}
	return c, opaque.ExportKeyOf([64]byte(fill(64, 0x90))), Place{Account: identity.AccountID(fill(16, 0x10)), Credential: 3}
}

func same(a, b Capsule) bool { return bytes.Equal(a.encode(), b.encode()) }

func TestCapsule(t *testing.T) {
	c, k, p := example(t)
	sealed, err := c.Seal(rand.Reader, k, p)
	if err != nil || len(sealed) != Size {
		t.Fatal(len(sealed), err)
	}
	got, err := Open(sealed, k, p)
	if err != nil || !same(got, c) {
		t.Fatal("round trip", err)
	}
	copied, err := c.SealCopy(rand.Reader, p)
	if err != nil || len(copied) != Size {
		t.Fatal(len(copied), err)
	}
	if got, err := OpenCopy(copied, c.Recovery, p); err != nil || !same(got, c) {
		t.Fatal("copy", err)
	}

	other := p
	other.Account[0] ^= 1
	older := Place{p.Account, p.Credential - 1}
	for name, open := range map[string]func() (Capsule, error){
		"other account":    func() (Capsule, error) { return Open(sealed, k, other) },
		"older credential": func() (Capsule, error) { return Open(sealed, k, older) },
		"other export key": func() (Capsule, error) { return Open(sealed, opaque.ExportKeyOf([64]byte{}), p) },
		"copy as capsule":  func() (Capsule, error) { return Open(copied, k, p) },
		"capsule as copy":  func() (Capsule, error) { return OpenCopy(sealed, c.Recovery, p) },
		"copy, other code": func() (Capsule, error) { return OpenCopy(copied, RecoveryKeyOf(key(9)), p) },
		"copy, older":      func() (Capsule, error) { return OpenCopy(copied, c.Recovery, older) },
		"empty":            func() (Capsule, error) { return Open(nil, k, p) },
		"version 0":        func() (Capsule, error) { return Open(put(sealed, 1, 0), k, p) },
	} {
		if got, err := open(); err != ErrOpen || !got.Row.IsZero() || !got.Recovery.IsZero() {
			t.Errorf("%s: %v, want ErrOpen", name, err)
		}
	}
	for i := 2; i < len(sealed); i++ {
		if _, err := Open(put(sealed, i, sealed[i]^0x80), k, p); err != ErrOpen {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for n := 2; n < len(sealed); n++ {
		if _, err := Open(sealed[:n], k, p); err != ErrOpen {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if _, err := Open(append(bytes.Clone(sealed), 0), k, p); err != ErrOpen {
		t.Errorf("a byte more: %v", err)
	}
	for _, v := range [][2]byte{{0, 2}, {1, 1}} {
		if _, err := Open(append(v[:], sealed[2:]...), k, p); err != ErrVersion {
			t.Errorf("version %v: %v", v, err)
		}
	}
}

func put(b []byte, i int, v byte) []byte {
	b = bytes.Clone(b)
	b[i] = v
	return b
}

// TestCopyNamesItsKey: a copy that was sealed under the right key but carries
// another is refused.
func TestCopyNamesItsKey(t *testing.T) {
	c, _, p := example(t)
	c2 := c
	c2.Recovery = RecoveryKeyOf(key(0x55))
	sealed, err := sealBox(rand.Reader, c.Recovery.b, c2.encode(), p.aad("capsule copy"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCopy(sealed, c.Recovery, p); err != ErrOpen {
		t.Error(err)
	}
}

func TestParseRefuses(t *testing.T) {
	c, _, _ := example(t)
	good := c.encode()
	zero := func(from, to int) []byte {
		b := bytes.Clone(good)
		clear(b[from:to])
		return b
	}
	for name, b := range map[string][]byte{
		"short": good[:plainSize-1], "long": append(bytes.Clone(good), 0),
		"no account key": zero(0, 32), "no row key": zero(32, 64), "no book key": zero(64, 96), "no share key": zero(96, 128),
		"no list": zero(128, 136), "hash of no book": zero(168, 176), "no recovery key": zero(208, 240),
	} {
		if _, err := parse(b); err != ErrOpen {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := parse(zero(168, 208)); err != nil || got.BookHead != (Head{}) {
		t.Errorf("before the first book: %v", err)
	}
}

func TestSealRefusesIncomplete(t *testing.T) {
	for name, f := range map[string]func(*Capsule){
		"row": func(c *Capsule) { c.Row = RowKey{} }, "book": func(c *Capsule) { c.Book = BookKey{} },
		"share": func(c *Capsule) { c.Share = ShareKey{} }, "recovery": func(c *Capsule) { c.Recovery = RecoveryKey{} },
		"list": func(c *Capsule) { c.List = Head{} },
	} {
		c, k, p := example(t)
		f(&c)
		if _, err := c.Seal(rand.Reader, k, p); err != ErrIncomplete {
			t.Errorf("no %s: %v", name, err)
		}
		if _, err := c.SealCopy(rand.Reader, p); err != ErrIncomplete {
			t.Errorf("no %s, copy: %v", name, err)
		}
	}
}

func TestFloor(t *testing.T) {
	h := Head{4, key(1)}
	for _, c := range []struct {
		version uint64
		hash    [32]byte
		want    bool
	}{{3, key(1), false}, {4, key(1), true}, {4, key(2), false}, {5, key(2), true}} {
		if h.Floor(c.version, c.hash) != c.want {
			t.Errorf("Floor(%d, %x)", c.version, c.hash[:2])
		}
	}
}

func TestShare(t *testing.T) {
	k := ShareKeyOf(key(1))
	account, row := identity.AccountID(fill(16, 2)), RowID(key(3))
	s, err := NewShare(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal(rand.Reader, k, account, row)
	if err != nil || len(sealed) != SealedShareSize {
		t.Fatal(len(sealed), err)
	}
	if got, err := OpenShare(sealed, k, account, row, s.ID); err != nil || got != s {
		t.Fatal("round trip", err)
	}
	for name, err := range map[string]error{
		"key":     second(OpenShare(sealed, ShareKeyOf(key(9)), account, row, s.ID)),
		"account": second(OpenShare(sealed, k, identity.AccountID{1}, row, s.ID)),
		"row":     second(OpenShare(sealed, k, account, RowID{1}, s.ID)),
		"id":      second(OpenShare(sealed, k, account, row, ShareID{1})),
		"bytes":   second(OpenShare(put(sealed, 20, sealed[20]^1), k, account, row, s.ID)),
		"size":    second(OpenShare(sealed[:SealedShareSize-1], k, account, row, s.ID)),
	} {
		if err != ErrOpen {
			t.Errorf("other %s: %v", name, err)
		}
	}
	if err := second(OpenShare(put(sealed, 1, 2), k, account, row, s.ID)); err != ErrVersion {
		t.Errorf("newer version: %v", err)
	}
}

func second(_ Share, err error) error { return err }

func TestRecoveryCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := RecoveryCode{b: [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "code"))}
		s := c.Reveal()
		if len(s) != 34 || strings.Count(s, "-") != 6 {
			t.Fatalf("written as %q", s)
		}
		typed := strings.NewReplacer("-", rapid.SampledFrom([]string{"", " ", "--", " - ", "\n"}).Draw(t, "between"),
			"0", rapid.SampledFrom([]string{"0", "o", "O"}).Draw(t, "zero"),
			"1", rapid.SampledFrom([]string{"1", "i", "L", "l"}).Draw(t, "one")).Replace(s)
		if rapid.Bool().Draw(t, "lower") {
			typed = strings.ToLower(typed)
		}
		if got, err := ParseRecoveryCode(typed); err != nil || got != c {
			t.Fatalf("typed as %q: %v", typed, err)
		}
		// A single wrong character is noticed but for one in 4096: so the
		// share over many draws is what TestRecoveryCodeTypos counts.
		if _, err := ParseRecoveryCode(s[:33]); err != ErrRecoveryCode {
			t.Fatal("a character less passes")
		}
		if _, err := ParseRecoveryCode(s + "0"); err != ErrRecoveryCode {
			t.Fatal("a character more passes")
		}
	})
}

func TestRecoveryCodeTypos(t *testing.T) {
	c := RecoveryCode{b: [16]byte(fill(16, 0x31))}
	s := c.Reveal()
	passed, tried := 0, 0
	for i := range s {
		for _, r := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			typo := s[:i] + string(r) + s[i+1:]
			if s[i] == '-' || typo == s {
				continue
			}
			tried++
			if _, err := ParseRecoveryCode(typo); err == nil {
				passed++
			}
		}
	}
	if tried != 28*31 || passed > 3 {
		t.Errorf("%d of %d typing errors pass", passed, tried)
	}
	for _, s := range []string{"", "U", strings.Repeat("0", 28)[:27] + "U", strings.Repeat(" ", 300), strings.Replace(s, s[:1], "\u0131", 1), "\xff"} {
		if _, err := ParseRecoveryCode(s); err != ErrRecoveryCode {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestRecoveryAuth(t *testing.T) {
	c := RecoveryCode{b: [16]byte(fill(16, 0x31))}
	h := c.Auth().Hash()
	if !h.Matches(RecoveryAuthOf(c.Auth().Bytes())) || h.Matches(RecoveryAuthOf(key(1))) {
		t.Error("Matches")
	}
	if c.Auth().Bytes() == c.Key().Bytes() {
		t.Error("one derivation for two purposes")
	}
}

func TestSecretsPrintHidden(t *testing.T) {
	c, _, _ := example(t)
	code := RecoveryCode{b: [16]byte{1}}
	for _, v := range []any{c.Row, c.Book, c.Share, c.Recovery, code, code.Auth(), ServerShareOf(key(1))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, v); got != "hidden" {
				t.Errorf("%T under %s prints %q", v, verb, got)
			}
		}
	}
	secret := fmt.Sprintf("%v %+v %x %d", c, c, c, []any{c})
	if k := c.Row.Bytes(); strings.Contains(secret, fmt.Sprintf("%x", k[:4])) || strings.Contains(secret, "2 3 4 5") {
		t.Errorf("capsule prints %q", secret)
	}
}

func FuzzParse(f *testing.F) {
	c, _, _ := example(f)
	f.Add(c.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parse(b); err == nil && !bytes.Equal(c.encode(), b) {
			t.Errorf("%x is read, but written as %x", b, c.encode())
		}
	})
}

func FuzzOpen(f *testing.F) {
	c, k, p := example(f)
	sealed, err := c.Seal(bytes.NewReader(fill(12, 0)), k, p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := Open(b, k, p); err == nil && (!same(got, c) || !bytes.Equal(b, sealed)) {
			t.Error("a forged capsule opens")
		}
		_, _ = OpenShare(b, c.Share, p.Account, RowID{}, ShareID{})
	})
}

func FuzzParseRecoveryCode(f *testing.F) {
	f.Add(RecoveryCode{b: [16]byte(fill(16, 0x31))}.Reveal())
	f.Add("OIL-0 il")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseRecoveryCode(s)
		if err != nil {
			return
		}
		if again, err := ParseRecoveryCode(c.Reveal()); err != nil || again != c {
			t.Errorf("%q is read as another code", s)
		}
	})
}
