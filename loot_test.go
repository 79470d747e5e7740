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
	"encoding/hex"
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

// database are the database keys that a key brings, as a server share and as the
// database key itself, which nobody may have stored.
func (s *slot) database(key []byte) [][]byte {
	info := "reseal/1 database key" + string(s.nonce) + string(s.mark)
	db, err := hkdf.Key(sha256.New, append(append([]byte{}, s.local...), key...), nil, info, 32)
	if err != nil {
		panic(err)
	}
	return [][]byte{db, key}
}

func expand(key []byte, info string) []byte {
	b, err := hkdf.Expand(sha256.New, key, info, 32)
	if err != nil {
		panic(err)
	}
	return b
}

func gcmOf(key []byte) (cipher.Block, cipher.AEAD) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return block, aead
}

// opens tries a database key: the first bytes of what comes out tell nearly all
// wrong ones, the seal the rest.
func (s *slot) opens(db []byte) bool {
	block, aead := gcmOf(expand(db, "reseal/1 section content"))
	var first [16]byte
	cipher.NewCTR(block, append(make([]byte, 15), 2)).XORKeyStream(first[:], s.body[:16])
	if binary.BigEndian.Uint32(first[:]) > 1<<16 {
		return false // so many records fit nowhere
	}
	for size := len(s.body) + 128; size >= 1<<16; size /= 2 {
		aad := append(append(append([]byte{0, 1}, s.nonce...), s.mark...), s.local...)
		if _, err := aead.Open(nil, make([]byte, 12), s.body[:size-128], append(aad, byte(bits.TrailingZeros(uint(size))))); err == nil {
			return true
		}
	}
	return false
}

// journal is the file of what came after the section was sealed, empty for none.
func (l *loot) journal(s *slot) []byte {
	n := sha256.Sum256([]byte("reseal/1 journal name" + string(s.nonce) + string(s.local)))
	return l.files["journal-"+hex.EncodeToString(n[:16])]
}

// opensJournal tries a database key at the first frame of a journal.
func opensJournal(journal, db []byte) bool {
	if len(journal) < 64+40 {
		return false
	}
	f := journal[64:]
	if mac(expand(db, "reseal/1 journal mark"), string(f[:24]))[:16] != string(f[24:40]) {
		return false
	}
	_, aead := gcmOf(expand(db, "reseal/1 journal frame"))
	_, err := aead.Open(nil, f[12:24], f[40:40+binary.BigEndian.Uint32(f)], append(append([]byte{}, f[:40]...), make([]byte, 16)...))
	return err == nil
}

// session is a session record, as anybody reads it.
type session struct{ head, device, share, sealed []byte }

func sessionOf(b []byte) session {
	at := 14 + 2 + 16 + 16
	for range 3 { // handle, server, token
		at += 2 + int(binary.BigEndian.Uint16(b[at:]))
	}
	if binary.BigEndian.Uint16(b[14:]) == 3 {
		at += 32 // the server's key
	}
	return session{b[:at+32], b[16:48], b[at : at+32], b[at+32 : at+32+128]}
}

// opens tries a server's half, and returns the section's nonce and its share.
func (s *session) opens(half []byte) (nonce string, share [32]byte, ok bool) {
	key, err := hkdf.Key(sha256.New, append(append([]byte{}, s.share...), half...), nil, "reseal/1 session record"+string(s.device), 32)
	if err != nil {
		panic(err)
	}
	_, aead := gcmOf(key)
	b, err := aead.Open(nil, make([]byte, 12), s.sealed, s.head)
	if err != nil {
		return "", share, false
	}
	return string(b[:32]), [32]byte(b[48:]), true
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
// stored anywhere, under whatever name, is one of them. The ciphertexts of contents,
// which nobody can plant a key in, are taken in steps.
func (l *loot) windows() map[[32]byte]bool {
	all := map[[32]byte]bool{}
	steps := func(b []byte, step int) {
		for i := 0; i+32 <= len(b); i += step {
			all[[32]byte(b[i:])] = true
		}
	}
	add := func(b []byte) { steps(b, 1) }
	for _, s := range l.slots() {
		add(append(append(append(append([]byte{}, s.nonce...), s.tag...), s.mark...), s.local...))
	}
	for name, b := range l.files {
		switch {
		case name == "vault":
		case ciphertext(name):
			steps(b, 64)
		default:
			add(b)
		}
	}
	for k, v := range l.rows {
		add([]byte(k))
		add(v)
	}
	for _, b := range l.blobs {
		steps(b, 64)
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
	journals []int               // slots whose journal opened
	sessions map[string][32]byte // shares that session records gave, by slot nonce
}

// nothing tells that an attack has brought nothing.
func (g got) nothing() bool {
	return len(g.sections)+len(g.links)+len(g.capsules)+g.shares+len(g.journals)+len(g.sessions) == 0
}

// derive tries every key as each of the keys that there are.
func (l *loot) derive(keys map[[32]byte]bool) got {
	g := got{links: map[int]string{}, capsules: map[string]bool{}, sessions: map[string][32]byte{}}
	slots := l.slots()
	rows := map[string]string{} // by row id
	for row := range l.rows {
		if _, k, ok := accountOf(row); ok && strings.HasPrefix(k, string(records.SharesAll)) {
			rows[k[len(records.SharesAll):]] = row
		}
	}
	var logins []session
	for name, b := range l.files {
		if strings.HasPrefix(name, "session-") {
			logins = append(logins, sessionOf(b))
		}
	}
	for key := range keys {
		for i := range logins {
			if nonce, share, ok := logins[i].opens(key[:]); ok {
				g.sessions[nonce] = share
			}
		}
		for i := range slots {
			s := &slots[i]
			journal := l.journal(s)
			for _, db := range s.database(key[:]) {
				if s.opens(db) {
					g.sections = append(g.sections, i)
				}
				if opensJournal(journal, db) {
					g.journals = append(g.journals, i)
				}
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
