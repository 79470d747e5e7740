package reseal_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io/fs"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/store"
)

// loot is what an attacker has: the folder of an installation, or everything
// of a server, or both. What follows is written from spec/shares.md and
// spec/login.md, and shares no code with the client database.
type loot struct {
	files   map[string][]byte // thief
	rows    map[string][]byte // server: partition, zero byte, key
	blobs   [][]byte
	keyFile []byte
}

// steal copies a folder, and all of a server.
func (w *world) steal(dir string) (thief, server, both loot) {
	w.t.Helper()
	read := func(dir string, got func(name string, b []byte)) {
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			got(d.Name(), b)
			return err
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	both = loot{files: map[string][]byte{}, rows: map[string][]byte{}, keyFile: w.setup.Encode()}
	read(dir, func(name string, b []byte) { both.files[name] = b })
	read(w.blobs, func(_ string, b []byte) { both.blobs = append(both.blobs, b) })
	c := context.Background()
	for after := store.Partition(""); ; {
		some, err := w.store.(store.Lister).Partitions(c, "", after, store.MaxPage)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, p := range some {
			for r, err := range store.Scan(c, w.store, p, "", "", false) {
				if err != nil {
					w.t.Fatal(err)
				}
				both.rows[string(p)+"\x00"+string(r.Key)] = r.Value
			}
			after = p
		}
		if len(some) < store.MaxPage {
			break
		}
	}
	thief = loot{files: both.files}
	server = loot{rows: both.rows, blobs: both.blobs, keyFile: both.keyFile}
	return thief, server, both
}

// slot is one of the file "vault", as anybody reads it.
type slot struct{ nonce, tag, mark, local, body []byte }

func (l *loot) slots() (all []slot) {
	b := l.files["vault"]
	if len(b) == 0 {
		return nil
	}
	size, taken := 1<<b[15], int(binary.BigEndian.Uint32(b[16:]))
	for i := range taken {
		s := b[32+i*size:][:size]
		all = append(all, slot{s[:32], s[32:64], s[64:80], s[80:112], s[128:]})
	}
	return all
}

// opens tries a server share: the first bytes of what comes out tell nearly all
// wrong ones, the seal the rest.
func (s *slot) opens(share []byte) bool {
	info := "reseal/1 database key" + string(s.nonce) + string(s.mark)
	db, err := hkdf.Key(sha256.New, append(append([]byte{}, s.local...), share...), nil, info, 32)
	if err != nil {
		panic(err)
	}
	key, err := hkdf.Expand(sha256.New, db, "reseal/1 section content", 32)
	if err != nil {
		panic(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	var first [16]byte
	cipher.NewCTR(block, append(make([]byte, 15), 2)).XORKeyStream(first[:], s.body[:16])
	if binary.BigEndian.Uint32(first[:]) > 1<<16 {
		return false // so many records fit nowhere
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	for size := len(s.body) + 128; size >= 1<<16; size /= 2 {
		aad := append(append(append([]byte{0, 1}, s.nonce...), s.mark...), s.local...)
		if _, err := aead.Open(nil, make([]byte, 12), s.body[:size-128], append(aad, byte(bits.TrailingZeros(uint(size))))); err == nil {
			return true
		}
	}
	return false
}

func mac(key []byte, parts ...string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(strings.Join(parts, "")))
	return string(m.Sum(nil))
}

// accountOf is whose partition a row is in.
func accountOf(row string) (a identity.AccountID, key string, ok bool) {
	if !strings.HasPrefix(row, "A/") || len(row) < len(a)+3 {
		return a, "", false
	}
	return identity.AccountID([]byte(row[2 : 2+len(a)])), row[3+len(a):], true
}

// windows are all pieces of 32 bytes of what somebody has: whatever key is
// stored anywhere, under whatever name, is one of them. Long ciphertexts are
// taken in steps.
func (l *loot) windows() map[[32]byte]bool {
	all := map[[32]byte]bool{}
	add := func(b []byte) {
		step := 1
		if len(b) > 8<<10 {
			step = 64
		}
		for i := 0; i+32 <= len(b); i += step {
			all[[32]byte(b[i:])] = true
		}
	}
	for _, s := range l.slots() {
		add(append(append(append(append([]byte{}, s.nonce...), s.tag...), s.mark...), s.local...))
	}
	for name, b := range l.files {
		if name != "vault" {
			add(b)
		}
	}
	for k, v := range l.rows {
		add([]byte(k))
		add(v)
	}
	for _, b := range l.blobs {
		add(b)
	}
	add(l.keyFile)
	if setup, err := opaque.ParseSetup(l.keyFile); err == nil {
		k := setup.Key("login state")
		add(k[:])
	}
	for w := range maps.Clone(all) { // and what one hash makes of each
		all[sha256.Sum256(w[:])] = true
	}
	return all
}

// got is what an attack has brought.
type got struct {
	sections []int           // slots that opened
	links    map[int]string  // slots by the row of their share
	capsules map[string]bool // accounts whose capsule or its copy opened
	shares   int
}

// derive tries every key as each of the keys that there are.
func (l *loot) derive(keys map[[32]byte]bool) got {
	g := got{links: map[int]string{}, capsules: map[string]bool{}}
	slots := l.slots()
	rows := map[string]string{} // by row id
	for row := range l.rows {
		if _, k, ok := accountOf(row); ok && strings.HasPrefix(k, string(records.SharesAll)) {
			rows[k[len(records.SharesAll):]] = row
		}
	}
	for key := range keys {
		for i := range slots {
			s := &slots[i]
			if s.opens(key[:]) {
				g.sections = append(g.sections, i)
			}
			if mac(key[:], "reseal/1 row file\x00", string(s.nonce)) == string(s.tag) {
				g.links[i] = rows[mac(key[:], "reseal/1 row server\x00", string(s.nonce))]
			}
		}
	}
	for row, v := range l.rows {
		a, k, ok := accountOf(row)
		switch {
		case ok && k == string(records.Pw):
			pw, err := records.ParsePassword(v)
			if err != nil {
				panic(err)
			}
			place := capsule.Place{Account: a, Credential: pw.Credential}
			for key := range keys {
				if _, err := capsule.OpenCopy(pw.Copy, capsule.RecoveryKeyOf(key), place); err == nil {
					g.capsules[pw.Handle] = true
				}
			}
			for i := 0; i+64 <= len(l.keyFile); i++ {
				if _, err := capsule.Open(pw.Capsule, opaque.ExportKeyOf([64]byte(l.keyFile[i:])), place); err == nil {
					g.capsules[pw.Handle] = true
				}
			}
		case ok && strings.HasPrefix(k, string(records.SharesAll)):
			sh, err := records.ParseShares(v)
			if err != nil {
				panic(err)
			}
			for key := range keys {
				if _, err := capsule.OpenShare(sh.Opened.Sealed, capsule.ShareKeyOf(key), a, capsule.RowID([]byte(k[len(records.SharesAll):])), sh.Opened.ID); err == nil {
					g.shares++
				}
			}
		}
	}
	return g
}

// guess tries a password at an account, as whoever has records and key file can.
// What comes out are the keys that it brings.
func (l *loot) guess(t *testing.T, who, password string) (capsule.Capsule, bool) {
	t.Helper()
	setup, err := opaque.ParseSetup(l.keyFile)
	if err != nil {
		return capsule.Capsule{}, false // a thief has nothing to try it at
	}
	s, err := opaque.NewServer(setup)
	if err != nil {
		t.Fatal(err)
	}
	for row, v := range l.rows {
		a, k, ok := accountOf(row)
		if !ok || k != string(records.Pw) {
			continue
		}
		pw, err := records.ParsePassword(v)
		if err != nil {
			t.Fatal(err)
		}
		if pw.Handle != who {
			continue
		}
		login, ke1, err := opaque.StartLogin(handle.Handle(who), []byte(password))
		if err != nil {
			t.Fatal(err)
		}
		ke2, _, err := s.StartLogin(rand.Reader, handle.Handle(who), &opaque.Known{Account: a, Credential: pw.Credential, Record: pw.Opaque}, ke1, identity.TimeOf(time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		res, err := login.Finish(ke2)
		if err != nil {
			return capsule.Capsule{}, false
		}
		c, err := capsule.Open(pw.Capsule, res.Export, capsule.Place{Account: a, Credential: pw.Credential})
		return c, err == nil
	}
	return capsule.Capsule{}, false
}
