package capsule

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectors = "../spec/vectors/login/"

// scenario is one vector file: what goes into an entry point, and what comes
// out. Bytes are hexadecimal.
type scenario struct {
	Comment string            `json:"comment"`
	Entry   string            `json:"entry"`
	Outcome string            `json:"outcome"`
	In      map[string]string `json:"in"`
	Out     map[string]string `json:"out,omitempty"`
}

func (s scenario) bytes(t *testing.T, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s.In[name])
	if err != nil {
		t.Fatal(name, err)
	}
	return b
}

func (s scenario) b32(t *testing.T, name string) [32]byte { return [32]byte(s.bytes(t, name)) }

func (s scenario) place(t *testing.T) Place {
	n, err := strconv.ParseUint(s.In["credential"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return Place{identity.AccountID(s.bytes(t, "account")), n}
}

func x(b []byte) string     { return hex.EncodeToString(b) }
func x32(b [32]byte) string { return hex.EncodeToString(b[:]) }
func dec(n uint64) string   { return strconv.FormatUint(n, 10) }
func outcome(err error) string {
	switch err {
	case nil:
		return "ok"
	case ErrVersion:
		return "newer"
	case ErrOpen, ErrRecoveryCode:
		return "refused"
	}
	return err.Error()
}

// run puts the inputs of s through its entry point.
func (s scenario) run(t *testing.T) (map[string]string, string) {
	t.Helper()
	switch s.Entry {
	case "capsule", "capsule copy":
		var c Capsule
		var err error
		if s.Entry == "capsule" {
			c, err = Open(s.bytes(t, "sealed"), opaque.ExportKeyOf([64]byte(s.bytes(t, "export_key"))), s.place(t))
		} else {
			c, err = OpenCopy(s.bytes(t, "sealed"), RecoveryKeyOf(s.b32(t, "recovery_key")), s.place(t))
		}
		if err != nil {
			return nil, outcome(err)
		}
		return map[string]string{
			"account_seed": x(c.Account.Seed()), "row_key": x32(c.Row.Bytes()), "book_key": x32(c.Book.Bytes()), "share_key": x32(c.Share.Bytes()),
			"list_version": dec(c.List.Version), "list_hash": x32(c.List.Hash), "book_version": dec(c.BookHead.Version), "book_hash": x32(c.BookHead.Hash),
			"recovery_key": x32(c.Recovery.Bytes()),
		}, "ok"
	case "recovery root":
		r, err := OpenRoot(s.bytes(t, "sealed"), RootKeyOf(s.b32(t, "root_key")), identity.AccountID(s.bytes(t, "account")))
		if err != nil {
			return nil, outcome(err)
		}
		return map[string]string{"account_seed": x(r.Account.Seed()), "next_seed": x(r.Next.Seed())}, "ok"
	case "server share":
		sh, err := OpenShare(s.bytes(t, "sealed"), ShareKeyOf(s.b32(t, "share_key")), identity.AccountID(s.bytes(t, "account")),
			RowID(s.b32(t, "row")), ShareID(s.bytes(t, "share_id")))
		if err != nil {
			return nil, outcome(err)
		}
		return map[string]string{"value": x32(sh.Value.Bytes())}, "ok"
	case "recovery code":
		c, err := ParseRecoveryCode(s.In["text"])
		if err != nil {
			return nil, outcome(err)
		}
		next := c.NextKey().Public()
		return map[string]string{
			"code": x(c.b[:]), "written": c.Reveal(), "recovery_key": x32(c.Key().Bytes()),
			"root_key": x32(c.RootKey().Bytes()), "auth": x32(c.Auth().Bytes()), "auth_hash": x32(c.Auth().Hash()), "next_account_key": x(next[:]),
		}, "ok"
	}
	t.Fatal("unknown entry", s.Entry)
	return nil, ""
}

// again seals what came out with the nonce that the vector has, where sealing
// can end in these bytes at all.
func (s scenario) again(t *testing.T, out map[string]string) {
	t.Helper()
	sealed := s.bytes(t, "sealed")
	nonce := bytes.NewReader(sealed[2:14])
	var got []byte
	var err error
	switch s.Entry {
	case "capsule":
		k := opaque.ExportKeyOf([64]byte(s.bytes(t, "export_key")))
		c, e := Open(sealed, k, s.place(t))
		got, err = c.Seal(nonce, k, s.place(t))
		if e != nil {
			t.Fatal(e)
		}
	case "capsule copy":
		c, e := OpenCopy(sealed, RecoveryKeyOf(s.b32(t, "recovery_key")), s.place(t))
		got, err = c.SealCopy(nonce, s.place(t))
		if e != nil {
			t.Fatal(e)
		}
	case "recovery root":
		r, e := OpenRoot(sealed, RootKeyOf(s.b32(t, "root_key")), identity.AccountID(s.bytes(t, "account")))
		if e != nil {
			t.Fatal(e)
		}
		got, err = r.Seal(nonce, RootKeyOf(s.b32(t, "root_key")), identity.AccountID(s.bytes(t, "account")))
	case "server share":
		v, e := hex.DecodeString(out["value"])
		if e != nil {
			t.Fatal(e)
		}
		sh := Share{ShareID(s.bytes(t, "share_id")), ServerShareOf([32]byte(v))}
		got, err = sh.Seal(nonce, ShareKeyOf(s.b32(t, "share_key")), identity.AccountID(s.bytes(t, "account")), RowID(s.b32(t, "row")))
	}
	if err != nil || !bytes.Equal(got, sealed) {
		t.Errorf("sealing again: %v\n got %x\nwant %x", err, got, sealed)
	}
}

func TestVectors(t *testing.T) {
	made := scenarios(t)
	if *update {
		for name, s := range made {
			out, got := s.run(t)
			if got != s.Outcome {
				t.Fatalf("%s: %s, want %s", name, got, s.Outcome)
			}
			s.Out = out
			b, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(vectors+name+".json", append(b, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	var files []string
	for _, prefix := range []string{"capsule", "recovery", "root", "share"} {
		found, err := filepath.Glob(vectors + prefix + "-*.json")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
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
			if g := made[name]; g.Comment != s.Comment || g.Outcome != s.Outcome || !maps.Equal(g.In, s.In) {
				t.Error("the file is not what its generator makes: run with -update")
			}
			out, got := s.run(t)
			if got != s.Outcome || !maps.Equal(out, s.Out) {
				t.Errorf("%s, want %s\n got %v\nwant %v", got, s.Outcome, out, s.Out)
			}
			if s.Outcome == "ok" && s.In["sealed"] != "" {
				s.again(t, out)
			}
		})
	}
}

// scenarios makes the vectors.
func scenarios(t *testing.T) map[string]scenario {
	all := map[string]scenario{}
	c, k, p := example(t)
	export := k.Bytes()
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	nonce := func() *bytes.Reader { return bytes.NewReader(fill(12, 0xa0)) }
	add := func(name, entry, comment, outcome string, in map[string]string, changes ...string) {
		in = maps.Clone(in)
		for i := 0; i < len(changes); i += 2 {
			in[changes[i]] = changes[i+1]
		}
		all[name] = scenario{Comment: comment, Entry: entry, Outcome: outcome, In: in}
	}
	sealed := must(c.Seal(nonce(), k, p))
	copied := must(c.SealCopy(nonce(), p))
	base := map[string]string{"sealed": x(sealed), "export_key": x(export[:]), "account": x(p.Account[:]), "credential": dec(p.Credential)}
	first := c
	first.BookHead = Head{}
	plain := func(f func([]byte)) string {
		b := c.encode()
		f(b)
		return x(must(sealBox(nonce(), exportKey(k), b, p.aad("capsule"))))
	}
	add("capsule-good", "capsule", "a capsule of an account with a book", "ok", base)
	add("capsule-no-book", "capsule", "before the first book: version 0 and a zero hash", "ok", base, "sealed", x(must(first.Seal(nonce(), k, p))))
	add("capsule-other-account", "capsule", "the capsule of another account", "refused", base, "account", x(fill(16, 0x11)))
	add("capsule-older-credential", "capsule", "the capsule from before a password change", "refused", base, "credential", "4")
	add("capsule-other-key", "capsule", "another export key", "refused", base, "export_key", x(fill(64, 0x91)))
	add("capsule-altered", "capsule", "one bit changed", "refused", base, "sealed", x(put(sealed, 100, sealed[100]^1)))
	add("capsule-truncated", "capsule", "a byte short", "refused", base, "sealed", x(sealed[:Size-1]))
	add("capsule-trailing", "capsule", "a byte more", "refused", base, "sealed", x(append(slices.Clone(sealed), 0)))
	add("capsule-version-0", "capsule", "version 0", "refused", base, "sealed", x(put(sealed, 1, 0)))
	add("capsule-version-2", "capsule", "a newer version", "newer", base, "sealed", x(put(sealed, 1, 2)))
	add("capsule-copy-instead", "capsule", "the copy in place of the capsule", "refused", base, "sealed", x(copied))
	add("capsule-zero-share-key", "capsule", "well sealed, but a key is missing", "refused", base, "sealed", plain(func(b []byte) { clear(b[96:128]) }))
	add("capsule-no-list", "capsule", "well sealed, but without a list head", "refused", base, "sealed", plain(func(b []byte) { clear(b[128:136]) }))
	add("capsule-hash-without-book", "capsule", "well sealed, but book version 0 with a hash", "refused", base, "sealed", plain(func(b []byte) { clear(b[168:176]) }))

	rec := maps.Clone(base)
	delete(rec, "export_key")
	rec["sealed"], rec["recovery_key"] = x(copied), x32(c.Recovery.Bytes())
	other := c
	other.Recovery = RecoveryKeyOf(key(0x44))
	add("capsule-copy-good", "capsule copy", "the copy under the key of the recovery code", "ok", rec)
	add("capsule-copy-other-code", "capsule copy", "the key of another code", "refused", rec, "recovery_key", x(fill(32, 0x44)))
	add("capsule-copy-older", "capsule copy", "the copy from before a password change", "refused", rec, "credential", "4")
	add("capsule-copy-names-other", "capsule copy", "well sealed, but it names another recovery key", "refused", rec,
		"sealed", x(must(sealBox(nonce(), c.Recovery.b, other.encode(), p.aad("capsule copy")))))

	rooted := RecoveryCode{b: [16]byte(fill(16, 0x70))}
	root := must(rooted.Root(c.Account).Seal(nonce(), rooted.RootKey(), p.Account))
	ro := map[string]string{"sealed": x(root), "root_key": x32(rooted.RootKey().Bytes()), "account": x(p.Account[:])}
	pair := func(account, next []byte) string {
		return x(must(sealBox(nonce(), rooted.RootKey().b, append(slices.Clone(account), next...), rootAAD(p.Account))))
	}
	add("root-good", "recovery root", "the root of a recovery code", "ok", ro)
	add("root-other-account", "recovery root", "the root of another account", "refused", ro, "account", x(fill(16, 0x11)))
	add("root-other-code", "recovery root", "the key of another code", "refused", ro, "root_key", x(fill(32, 0x44)))
	add("root-copy-key", "recovery root", "the key of the capsule's copy, which the capsule holds", "refused", ro, "root_key", x32(rooted.Key().Bytes()))
	add("root-altered", "recovery root", "one bit changed", "refused", ro, "sealed", x(put(root, 50, root[50]^1)))
	add("root-truncated", "recovery root", "a byte short", "refused", ro, "sealed", x(root[:RootSize-1]))
	add("root-trailing", "recovery root", "a byte more", "refused", ro, "sealed", x(append(slices.Clone(root), 0)))
	add("root-version-2", "recovery root", "a newer version", "newer", ro, "sealed", x(put(root, 1, 2)))
	add("root-zero-next", "recovery root", "well sealed, but without the next key", "refused", ro, "sealed", pair(c.Account.Seed(), make([]byte, 32)))
	add("root-next-is-account", "recovery root", "well sealed, but the next key is the account key", "refused", ro, "sealed", pair(c.Account.Seed(), c.Account.Seed()))

	share := Share{ID: ShareID(fill(16, 0x20)), Value: ServerShareOf(key(0x30))}
	row := RowID(key(0x40))
	sealedShare := must(share.Seal(nonce(), c.Share, p.Account, row))
	sb := map[string]string{"sealed": x(sealedShare), "share_key": x32(c.Share.Bytes()), "account": x(p.Account[:]), "row": x(row[:]), "share_id": x(share.ID[:])}
	add("share-good", "server share", "a server share", "ok", sb)
	add("share-other-row", "server share", "the share of another section", "refused", sb, "row", x(fill(32, 0x41)))
	add("share-other-id", "server share", "an older share under the id of the new one", "refused", sb, "share_id", x(fill(16, 0x21)))
	add("share-other-account", "server share", "the share of another account", "refused", sb, "account", x(fill(16, 0x11)))
	add("share-other-key", "server share", "a share from before a password change, which renews the key", "refused", sb, "share_key", x(fill(32, 5)))
	add("share-truncated", "server share", "a byte short", "refused", sb, "sealed", x(sealedShare[:SealedShareSize-1]))
	add("share-version-2", "server share", "a newer version", "newer", sb, "sealed", x(put(sealedShare, 1, 2)))

	code := RecoveryCode{b: [16]byte(fill(16, 0x70))}
	s := code.Reveal()
	text := func(name, comment, outcome, text string) {
		add("recovery-"+name, "recovery code", comment, outcome, map[string]string{"text": text})
	}
	text("good", "as it is shown", "ok", s)
	text("zeros", "the code of all zero bits", "ok", RecoveryCode{}.Reveal())
	text("typed", "as people type it", "ok", " "+strings.ToLower(strings.ReplaceAll(s, "-", "  "))+"\n")
	lookalike := RecoveryCode{b: [16]byte{0, 0x42, 0x10, 0x84, 0x21}}.Reveal()
	text("lookalikes", "O for 0, I and l for 1", "ok", strings.Replace(strings.NewReplacer("0", "O", "1", "I").Replace(lookalike), "I", "l", 1))
	text("typo", "one character wrong", "refused", "F"+s[1:])
	text("swapped", "two characters swapped", "refused", s[1:2]+s[:1]+s[2:])
	text("short", "a character missing", "refused", s[:len(s)-1])
	text("long", "a character more", "refused", s+"0")
	text("letter-u", "U is in no code", "refused", "U"+s[1:])
	text("dotless-i", "a letter that only unicode folds to I", "refused", strings.Replace(lookalike, "1", "\u0131", 1))
	text("empty", "nothing", "refused", "")
	return all
}
