package book

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectors = "../spec/vectors/book/"

// scenario is one vector file. Bytes are hexadecimal. The entries are parse
// (book), merge (book and other give merged), and load (key, account, version
// and parts give book and hash).
type scenario struct {
	Comment string   `json:"comment"`
	Entry   string   `json:"entry"`
	Outcome string   `json:"outcome"`
	Book    string   `json:"book,omitempty"`
	Other   string   `json:"other,omitempty"`
	Key     string   `json:"book_key,omitempty"`
	Account string   `json:"account,omitempty"`
	Version uint64   `json:"version,omitempty"`
	Parts   []string `json:"parts,omitempty"`

	// What comes out.
	Merged string            `json:"merged,omitempty"`
	Hash   string            `json:"hash,omitempty"`
	Status map[string]string `json:"status,omitempty"` // by account id: a key, "conflict", "none"
}

func x(b []byte) string { return hex.EncodeToString(b) }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func outcome(err error) string {
	switch err {
	case nil:
		return "ok"
	case ErrVersion:
		return "newer"
	case ErrMalformed:
		return "malformed"
	case ErrOpen:
		return "refused"
	}
	return err.Error()
}

func status(b *Book) map[string]string {
	all := map[string]string{}
	for _, c := range b.Contacts() {
		switch p, err := c.Current(); err {
		case nil:
			all[c.Account.String()] = x(p.Key[:])
		case ErrConflict:
			all[c.Account.String()] = "conflict"
		default:
			all[c.Account.String()] = "none"
		}
	}
	return all
}

// run fills in what comes out.
func (s scenario) run(t *testing.T) scenario {
	t.Helper()
	s.Merged, s.Hash, s.Status = "", "", nil
	var b *Book
	var err error
	switch s.Entry {
	case "parse", "merge":
		b, err = Parse(unhex(t, s.Book))
	case "load":
		var parts [][]byte
		for _, p := range s.Parts {
			parts = append(parts, unhex(t, p))
		}
		var h Hash
		if b, h, err = Load(capsule.BookKeyOf([32]byte(unhex(t, s.Key))), identity.AccountID(unhex(t, s.Account)), s.Version, parts); err == nil {
			s.Hash, s.Merged = x(h[:]), x(encode(t, b))
		}
	default:
		t.Fatal("unknown entry", s.Entry)
	}
	s.Outcome = outcome(err)
	if err != nil {
		return s
	}
	if s.Entry == "parse" && x(encode(t, b)) != s.Book {
		t.Error("written again in other bytes")
	}
	if s.Entry == "merge" {
		other, err := Parse(unhex(t, s.Other))
		if err != nil {
			t.Fatal(err)
		}
		if s.Merged = x(encode(t, Merge(b, other))); s.Merged != x(encode(t, Merge(other, b))) {
			t.Error("the order of merging matters")
		}
		b = Merge(b, other)
	}
	if len(b.contacts) > 0 {
		s.Status = status(b)
	}
	return s
}

func TestVectors(t *testing.T) {
	made := scenarios(t)
	if *update {
		for name, s := range made {
			want := s.Outcome
			if s = s.run(t); s.Outcome != want {
				t.Fatalf("%s: %s, want %s", name, s.Outcome, want)
			}
			b, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(vectors+name+".json", append(b, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(vectors + "*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(made) {
		t.Errorf("%d files, %d scenarios: run with -update", len(files), len(made))
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var s scenario
			if err := json.Unmarshal(b, &s); err != nil {
				t.Fatal(err)
			}
			if got := s.run(t); !reflect.DeepEqual(got, s) {
				t.Errorf("\n got %+v\nwant %+v", got, s)
			}
			if g := made[name].run(t); !reflect.DeepEqual(g, s) {
				t.Error("the file is not what its generator makes: run with -update")
			}
		})
	}
}

// scenarios makes the vectors.
func scenarios(t *testing.T) map[string]scenario {
	all := map[string]scenario{}
	bob, carol := contact("bob", pinOf(1, 0, 3, 3)), contact("carol", pinOf(2, 0, 8, 8))
	carol.Accepted, carol.Renamed = true, true
	carol.Verify(keyOf(2, 0))
	carol.SetBlocked(true)
	dave := contact("dave", pinOf(4, 0, 1, 1))
	dave.Refused = 1_900_000_000_000
	full := with(bob, carol, dave, Contact{Account: identity.AccountID{3}, Removed: true, Life: 2, Blocked: true, BlockedCount: 1})
	if err := full.Set("theme", []byte("dark")); err != nil {
		t.Fatal(err)
	}
	good := encode(t, full)
	parse := func(name, comment, outcome string, b []byte) {
		all["parse-"+name] = scenario{Comment: comment, Entry: "parse", Outcome: outcome, Book: x(b)}
	}
	parse("empty", "no contacts and no settings", "ok", encode(t, new(Book)))
	parse("full", "three contacts, a removed one and a setting", "ok", good)
	parse("version-0", "version 0", "malformed", append([]byte{0, 0}, good[2:]...))
	parse("version-2", "a newer version", "newer", append([]byte{0, 2}, good[2:]...))
	parse("truncated", "a byte short", "malformed", good[:len(good)-1])
	parse("trailing", "a byte more", "malformed", append(bytes.Clone(good), 0))
	parse("nothing", "no bytes", "malformed", nil)

	// raw encodes contacts as they are, good or not.
	raw := func(cs ...Contact) []byte {
		b := []byte{0, 1}
		var body []byte
		for _, c := range cs {
			body = append(body, rawContact(t, c)...)
		}
		b = append(b, byte(len(body)>>24), byte(len(body)>>16), byte(len(body)>>8), byte(len(body)))
		return append(append(b, body...), 0, 0, 0, 0)
	}
	if !bytes.Equal(raw(bob), encode(t, with(bob))) {
		t.Fatal("raw is not the encoding")
	}
	bad := func(name, comment string, f func(*Contact)) {
		parse(name, comment, "malformed", raw(changed(bob, f)))
	}
	parse("unsorted", "contacts out of order", "malformed", raw(carol, bob))
	parse("repeated", "one account twice", "malformed", raw(bob, bob))
	bad("zero-account", "no account id", func(c *Contact) { c.Account = identity.AccountID{} })
	bad("handle-upper", "a handle that is not in normal form", func(c *Contact) { c.Handle = "Bob" })
	bad("removed-with-key", "a removed contact that still has its pin", func(c *Contact) { c.Removed = true })
	parse("removed-and-refused", "a removed contact that still has a time of refusal", "malformed",
		raw(Contact{Account: identity.AccountID{3}, Removed: true, Refused: 1}))
	bad("crowded-with-key", "crowded, but with a pin", func(c *Contact) { c.Crowded = true })
	bad("list-version-0", "a pin of list version 0", func(c *Contact) { c.Pins[0].Version = 0 })
	bad("zero-key", "a pin without a key", func(c *Contact) { c.Pins[0].Key = identity.AccountPublic{} })
	bad("pin-repeated", "one pin twice", func(c *Contact) { c.Pins = append(c.Pins, c.Pins[0]) })
	bad("pin-outdated", "a pin with a lower list beside its successor", func(c *Contact) { c.Pins = append(c.Pins, pinOf(1, 0, 4, 4)) })
	flags := raw(bob)
	flags[6+16] |= flagsEnd
	parse("unknown-flag", "a flag that means nothing", "malformed", flags)
	odd := raw(bob)
	odd = append(odd[:len(odd)-4-1], 0, 0, 0, 0)
	odd[5]--
	parse("pins-cut", "pins that are not whole", "malformed", odd)

	merge := func(name, comment string, a, b *Book) {
		all["merge-"+name] = scenario{Comment: comment, Entry: "merge", Outcome: "ok", Book: x(encode(t, a)), Other: x(encode(t, b))}
	}
	with1 := func(f func(*Contact)) *Book { return with(changed(bob, f)) }
	merge("union", "different contacts", with(bob), with(carol))
	merge("higher-list", "the higher list wins", with(bob), with(contact("bob", pinOf(1, 0, 9, 9))))
	merge("conflict", "two keys for one account", with(bob), with(contact("bob", pinOf(1, 10, 3, 3))))
	merge("pick", "the user's pick outranks a conflict", with1(func(c *Contact) { c.Choose(pinOf(1, 10, 3, 3)) }), with(bob))
	merge("two-picks", "two picks that disagree are a conflict again", with1(func(c *Contact) { c.Choose(pinOf(1, 10, 3, 3)) }),
		with1(func(c *Contact) { c.Choose(pinOf(1, 20, 3, 3)) }))
	merge("rotation-followed", "one device followed a rotation", with(bob), with1(func(c *Contact) {
		if err := c.Follow(pinOf(1, 1, 4, 4)); err != nil {
			t.Fatal(err)
		}
	}))
	merge("rotation-met-late", "one device met the account after its rotation", with(bob), with(contact("bob", pinOf(1, 1, 4, 4))))
	merge("fork", "two lists of one version", with(bob), with(contact("bob", pinOf(1, 0, 3, 4))))
	merge("next-differs", "one key that commits to two next ones", with(bob), with(contact("bob", rival(1, 0, 7))))
	merge("blocked-tie", "as many changes on both sides: blocked", with1(func(c *Contact) { c.SetBlocked(true) }),
		with1(func(c *Contact) { c.BlockedCount = 1 }))
	merge("unblocked-later", "unblocked after the block", with1(func(c *Contact) { c.SetBlocked(true) }),
		with1(func(c *Contact) { c.SetBlocked(true); c.SetBlocked(false) }))
	merge("refused-later", "refused twice: the later time", with1(func(c *Contact) { c.Refused = 5 }), with1(func(c *Contact) { c.Refused, c.Accepted = 9, true }))
	merge("removed", "removed on one side, changed on the other", with1((*Contact).Remove), with1(func(c *Contact) { c.SetHandle("bobby") }))
	merge("added-again", "added again after the removal, with another key", with(bob), func() *Book {
		b := with1((*Contact).Remove)
		b.Add("bob", pinOf(1, 10, 1, 1))
		return b
	}())
	merge("verified-tie", "two verified marks that disagree are none", with1(func(c *Contact) { c.Verify(keyOf(1, 0)) }), with1(func(c *Contact) { c.Verify(keyOf(1, 5)) }))
	set := func(value ...string) *Book {
		b := new(Book)
		for _, v := range value {
			if err := b.Set("theme", []byte(v)); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	merge("setting-later", "the setting changed more often", set("dark"), set("light", "blue"))
	merge("setting-tie", "as many changes: the greater value", set("dark"), set("light"))
	merge("setting-removed", "a removal stays", set("dark"), set("dark", ""))

	s, err := full.Store(bytes.NewReader(make([]byte, 12)), bookKey, account, 5)
	if err != nil {
		t.Fatal(err)
	}
	k := bookKey.Bytes()
	load := func(name, comment, outcome string, f func(*scenario)) {
		v := scenario{Comment: comment, Entry: "load", Outcome: outcome, Key: x(k[:]), Account: x(account[:]), Version: 5, Parts: []string{x(s.Parts[0])}}
		f(&v)
		all["load-"+name] = v
	}
	load("good", "a stored book in one part", "ok", func(*scenario) {})
	load("other-version", "an older book under the version of a newer", "refused", func(v *scenario) { v.Version = 6 })
	load("other-account", "the book of another account", "refused", func(v *scenario) { v.Account = x(make([]byte, 16)) })
	load("other-key", "another key", "refused", func(v *scenario) { v.Key = x(make([]byte, 32)) })
	load("altered", "one bit changed", "refused", func(v *scenario) {
		p := bytes.Clone(s.Parts[0])
		p[200] ^= 1
		v.Parts[0] = x(p)
	})
	load("part-missing", "a part of two", "refused", func(v *scenario) {
		p := bytes.Clone(s.Parts[0])
		p[13] = 2
		v.Parts[0] = x(p)
	})
	load("part-twice", "the part twice", "refused", func(v *scenario) { v.Parts = append(v.Parts, v.Parts[0]) })
	load("none", "no parts", "refused", func(v *scenario) { v.Parts = nil })
	sealed, _, err := join(5, s.Parts)
	if err != nil {
		t.Fatal(err)
	}
	load("relabelled", "an older book, cut anew as a newer version with a good hash", "refused", func(v *scenario) {
		v.Version, v.Parts[0] = 6, x(split(6, sealed).Parts[0])
	})
	load("version-2", "a newer format", "newer", func(v *scenario) { v.Parts[0] = x(append([]byte{0, 2}, s.Parts[0][2:]...)) })
	padded := func(name, comment string, plain []byte) {
		box := append([]byte{0, 1}, make([]byte, 12)...)
		box = gcm(bookKey).Seal(box, box[2:14], plain, aad(account, 5))
		load(name, comment, "malformed", func(v *scenario) { v.Parts[0] = x(split(5, box).Parts[0]) })
	}
	plain := make([]byte, 2*padBlock)
	plain[3] = 10
	copy(plain[4:], []byte{0, 1})
	padded("padding-long", "well sealed, with a block of padding too many", plain)
	plain = bytes.Clone(plain[:padBlock])
	plain[padBlock-1] = 1
	padded("padding-not-zero", "well sealed, with padding that is not zero", plain)
	plain = make([]byte, padBlock)
	plain[0] = 1
	padded("length-beyond", "well sealed, with a length beyond its end", plain)
	return all
}

func rawContact(t *testing.T, c Contact) []byte {
	t.Helper()
	b := append([]byte{}, c.Account[:]...)
	b = append(b, c.flags())
	for _, n := range []uint32{c.BlockedCount, c.Life, c.HandleCount, c.Choice, c.VerifiedCount} {
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(c.Refused))
	vector := func(v []byte) { b = append(append(b, byte(len(v)>>8), byte(len(v))), v...) }
	vector([]byte(c.Handle))
	verified := c.Verified[:]
	if c.Verified == (identity.AccountPublic{}) {
		verified = nil
	}
	vector(verified)
	var pins []byte
	for _, p := range c.Pins {
		pins = append(append(pins, p.Key[:]...), p.Next[:]...)
		for i := range 8 {
			pins = append(pins, byte(p.Version>>(56-8*i)))
		}
		pins = append(pins, p.Hash[:]...)
	}
	vector(pins)
	return b
}
