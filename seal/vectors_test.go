package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reseal/reseal/identity"
)

// Everything here is reproducible: -update writes the same files again.
var update = flag.Bool("update", false, "write spec/vectors/content anew")

const vectorDir = "../spec/vectors/content"

// vector is one file, as spec/content.md, section 10, describes: a whole case, or a
// base and one change to it.
type vector struct {
	Scenario string `json:"scenario"`
	Outcome  string `json:"outcome"`

	CEK     string `json:"cek,omitempty"`
	Kind    uint8  `json:"kind,omitempty"`
	Sender  string `json:"sender,omitempty"`
	Content string `json:"content,omitempty"`
	Created uint64 `json:"created,omitempty"`
	Salt    string `json:"salt,omitempty"`

	Description string `json:"description,omitempty"`
	Size        uint64 `json:"size,omitempty"`
	Padded      uint64 `json:"padded,omitempty"`

	ContentKey     string `json:"content_key,omitempty"`
	Context        string `json:"context,omitempty"`
	Capability     string `json:"capability,omitempty"`
	CapabilityHash string `json:"capability_hash,omitempty"`

	Ciphertext       string `json:"ciphertext,omitempty"`
	CiphertextSHA256 string `json:"ciphertext_sha256,omitempty"`
	Segments         string `json:"segments,omitempty"`
	Digest           string `json:"digest,omitempty"`

	Base     string `json:"base,omitempty"`
	Part     string `json:"part,omitempty"`
	Offset   int    `json:"offset,omitempty"`
	Xor      string `json:"xor,omitempty"`
	Append   string `json:"append,omitempty"`
	Truncate *int   `json:"truncate,omitempty"`
}

const longestInFile = 4 << 10 // ciphertexts over this stand as their SHA-256

func goodMetas() map[string]Meta {
	long := Meta{Name: strings.Repeat("n", MaxName), Type: strings.Repeat("t", MaxType), Size: 1,
		Caption: strings.Repeat("é", 300), Thumbnail: fill(300)}
	photo := func(size uint64) Meta {
		return Meta{Name: "Übung 1.jpg", Type: "image/jpeg", Caption: "hello", Size: size, Thumbnail: []byte{0xff, 0xd8, 0xff}}
	}
	m := map[string]Meta{"good-text": {Caption: "hello"}, "good-longest-name": long}
	for name, size := range map[string]uint64{"good-photo": 1000, "good-chunk": 16384 - frameSize - metaFixed - 12 - 10 - 5 - 3,
		"good-two-chunks": 20000, "good-segment-and-empty-chunk": 1<<20 - 300, "good-two-segments": 1<<20 + 1,
		"good-three-segments": 2<<20 + 5} {
		m[name] = photo(size)
	}
	return m
}

// goodVector seals m and writes down every value on the way.
func goodVector(t *testing.T, name string, m Meta) (vector, []byte) {
	t.Helper()
	var dst bytes.Buffer
	w, err := NewWriter(&dst, salt(name), testCEK, testCtx, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(fill(int(m.Size))); err != nil {
		t.Fatal(err)
	}
	s := finish(t, w, &dst)
	padded, _ := m.padded()
	key, c := testCEK.contentKey(), testCEK.Capability()
	ch := c.Hash()
	v := vector{Outcome: "ok", Scenario: fmt.Sprintf("%d bytes, padded to %d, seal to this ciphertext and open again", m.Size, padded),
		CEK: hex.EncodeToString(testCEK[:]), Kind: testCtx.Kind, Sender: testCtx.Sender.String(),
		Content: testCtx.Content.String(), Created: uint64(testCtx.Created), Salt: hex.EncodeToString(s.ct[:saltSize]),
		Description: hex.EncodeToString(m.encode()), Size: m.Size, Padded: padded,
		ContentKey: hex.EncodeToString(key[:]), Context: hex.EncodeToString(testCtx.encode(padded)),
		Capability: hex.EncodeToString(c[:]), CapabilityHash: hex.EncodeToString(ch[:])}
	v.setCiphertext(s)
	return v, s.ct
}

func (v *vector) setCiphertext(s sealed) {
	v.Segments, v.Digest = hex.EncodeToString(s.Segments), s.Digest.String()
	if len(s.ct) > longestInFile {
		h := sha256.Sum256(s.ct)
		v.CiphertextSHA256 = hex.EncodeToString(h[:])
		return
	}
	v.Ciphertext = hex.EncodeToString(s.ct)
}

// changes are the cases to refuse that are a good one with one change.
func changes() map[string]vector {
	at := func(n int) *int { return &n }
	second := headSize + boxSize
	m := map[string]vector{
		"bad-key":                      {Part: "cek", Offset: 31, Xor: "01"},
		"bad-sender":                   {Part: "sender", Xor: "01"},
		"bad-kind":                     {Part: "kind", Xor: "03"},
		"bad-digest":                   {Part: "digest", Offset: 31, Xor: "01"},
		"bad-segments-suite":           {Part: "segments", Offset: 1, Xor: "03"},
		"bad-segments-content":         {Part: "segments", Offset: 2, Xor: "01"},
		"bad-segments-created":         {Part: "segments", Offset: 25, Xor: "01"},
		"bad-segments-length":          {Part: "segments", Offset: 33, Xor: "01"},
		"bad-segments-salt":            {Part: "segments", Offset: 34, Xor: "01"},
		"bad-segments-commitment":      {Part: "segments", Offset: 58, Xor: "01"},
		"bad-segments-hash":            {Part: "segments", Offset: listFixed, Xor: "01"},
		"bad-segments-cut":             {Part: "segments", Truncate: at(listFixed + hashSize - 1)},
		"bad-segments-empty":           {Part: "segments", Truncate: at(0)},
		"bad-segments-extended":        {Part: "segments", Append: "00"},
		"bad-ciphertext-salt":          {Part: "ciphertext", Xor: "01"},
		"bad-ciphertext-commitment":    {Part: "ciphertext", Offset: headSize - 1, Xor: "80"},
		"bad-ciphertext-first-byte":    {Part: "ciphertext", Offset: headSize, Xor: "01"},
		"bad-ciphertext-empty":         {Part: "ciphertext", Truncate: at(0)},
		"bad-ciphertext-head-only":     {Part: "ciphertext", Truncate: at(headSize)},
		"bad-ciphertext-chunk-cut-off": {Base: "good-two-chunks", Part: "ciphertext", Truncate: at(second)},
		"bad-ciphertext-second-chunk":  {Base: "good-two-chunks", Part: "ciphertext", Offset: second, Xor: "01"},
		"bad-ciphertext-chunk-tag":     {Base: "good-two-chunks", Part: "ciphertext", Offset: second - 1, Xor: "01"},
		"bad-ciphertext-segment-start": {Base: "good-three-segments", Part: "ciphertext", Offset: headSize + segmentSize, Xor: "01"},
		"bad-ciphertext-segment-end":   {Base: "good-three-segments", Part: "ciphertext", Offset: headSize + 2*segmentSize - 1, Xor: "01"},
		"bad-ciphertext-segment-lost":  {Base: "good-three-segments", Part: "ciphertext", Truncate: at(headSize + 2*segmentSize)},
	}
	for name, v := range m {
		if v.Base == "" {
			v.Base = "good-photo"
		}
		v.Scenario = fmt.Sprintf("%s with its %s changed as stated does not open", v.Base, v.Part)
		v.Outcome = "open"
		m[name] = v
	}
	return m
}

// allVectors makes every file and the ciphertexts of the good ones.
func allVectors(t *testing.T) (map[string]vector, map[string][]byte) {
	t.Helper()
	files, cts := changes(), map[string][]byte{}
	for name, m := range goodMetas() {
		files[name], cts[name] = goodVector(t, name, m)
	}
	whole := func(name, scenario string, s sealed) {
		v := vector{Scenario: scenario, Outcome: "open", CEK: hex.EncodeToString(testCEK[:]), Kind: testFrom.Kind,
			Sender: testFrom.Sender.String()}
		v.setCiphertext(s)
		files[name] = v
	}
	for name, s := range crafted() {
		if len(s.ct) <= longestInFile { // a case that no file can hold is a test only
			whole("bad-plaintext-"+name, "sealed by a sender who does not keep to the format: "+name, s)
		}
	}
	photo := goodMetas()["good-photo"]
	_, good := goodVector(t, "good-photo", photo)
	whole("bad-ciphertext-substituted", "the list and digest of good-photo with other data under the same key, salt and context",
		sealed{substitute(t, photo, "good-photo"), relist(good, testCtx.Content).Result})
	lists, ct := badLists(t)
	for name, list := range lists {
		if strings.HasPrefix(name, "cut-") || len(list) > 1<<10 {
			continue
		}
		whole("bad-list-"+name, "a segment list that matches its digest and is not allowed: "+name,
			sealed{ct, Result{Digest: digestOf(list), Segments: list}})
	}
	return files, cts
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func TestVectors(t *testing.T) {
	files, cts := allVectors(t)
	if *update {
		old, _ := filepath.Glob(filepath.Join(vectorDir, "*.json"))
		for _, p := range old {
			if err := os.Remove(p); err != nil {
				t.Fatal(err)
			}
		}
		for name, v := range files {
			if err := os.WriteFile(filepath.Join(vectorDir, name+".json"), marshal(t, v), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	found, err := filepath.Glob(filepath.Join(vectorDir, "*.json"))
	if err != nil || len(found) != len(files) {
		t.Fatalf("%d files, want %d (%v)", len(found), len(files), err)
	}
	for _, path := range found {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw, marshal(t, files[name])) {
			t.Errorf("%s: the generator makes another file", name)
		}
		var v vector
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		runVector(t, name, v, files, cts)
	}
}

// runVector opens one case in every way.
func runVector(t *testing.T, name string, v vector, files map[string]vector, cts map[string][]byte) {
	base, ct := v, cts[name]
	if v.Base != "" {
		base, ct = files[v.Base], cts[v.Base]
	}
	if base.Ciphertext != "" {
		ct = unhex(t, base.Ciphertext)
	} else if h := sha256.Sum256(ct); base.CiphertextSHA256 != hex.EncodeToString(h[:]) {
		t.Fatalf("%s: another ciphertext", name)
	}
	parts := map[string][]byte{"cek": unhex(t, base.CEK), "kind": {base.Kind}, "sender": unhex(t, base.Sender),
		"segments": unhex(t, base.Segments), "digest": unhex(t, base.Digest), "ciphertext": bytes.Clone(ct)}
	if v.Base != "" {
		b := parts[v.Part]
		for i, x := range unhex(t, v.Xor) {
			b[v.Offset+i] ^= x
		}
		if v.Truncate != nil {
			b = b[:*v.Truncate]
		}
		parts[v.Part] = append(b, unhex(t, v.Append)...)
	}
	s := sealed{parts["ciphertext"], Result{Segments: parts["segments"], Digest: Digest(parts["digest"])}}
	cek, from := CEK(parts["cek"]), Origin{Kind: parts["kind"][0], Sender: identity.AccountID(parts["sender"])}
	if v.Outcome == "open" {
		refused(t, name, s, cek, from, fill(3<<20), 2<<20)
		return
	}
	if v.Outcome != "ok" {
		t.Fatalf("%s: unknown outcome %q", name, v.Outcome)
	}
	l := s.list(t)
	if l.Content().String() != v.Content || uint64(l.Created()) != v.Created || l.Length() != uint64(len(s.ct)) {
		t.Errorf("%s: list says %v, %d, %d", name, l.Content(), l.Created(), l.Length())
	}
	for _, e := range entries {
		m, data, err := e.open(l, s.ct, cek, from)
		if err != nil || hex.EncodeToString(m.encode()) != v.Description || !bytes.Equal(data, fill(int(v.Size))) {
			t.Errorf("%s, %s: %v", name, e.name, err)
		}
	}
	var dst bytes.Buffer
	m, err := parseMeta(unhex(t, v.Description))
	if err != nil {
		t.Fatal(name, err)
	}
	ctx := Context{Kind: v.Kind, Content: l.Content(), Sender: from.Sender, Created: identity.Time(v.Created)}
	w, err := NewWriter(&dst, bytes.NewReader(unhex(t, v.Salt)), cek, ctx, m)
	if err != nil {
		t.Fatal(name, err)
	}
	if _, err := io.Copy(w, bytes.NewReader(fill(int(v.Size)))); err != nil {
		t.Fatal(name, err)
	}
	again := finish(t, w, &dst)
	c := cek.Capability()
	ch := c.Hash()
	if !bytes.Equal(again.ct, s.ct) || again.Digest != s.Digest || !bytes.Equal(again.Segments, s.Segments) ||
		hex.EncodeToString(c[:]) != v.Capability || hex.EncodeToString(ch[:]) != v.CapabilityHash {
		t.Errorf("%s: seals to something else", name)
	}
}

// The files cover every reason to refuse that a test covers.
func TestVectorsAreWhole(t *testing.T) {
	files, _ := allVectors(t)
	for name := range crafted() {
		_, in := files["bad-plaintext-"+name]
		if tooLong := slices.Contains([]string{"caption-too-long", "thumbnail-too-long"}, name); in == tooLong {
			t.Errorf("bad-plaintext-%s: in the vectors: %v", name, in)
		}
	}
}
