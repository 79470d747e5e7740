package seal

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"slices"
	"testing"
)

type wycheproofCase struct {
	ID        int      `json:"tcId"`
	Comment   string   `json:"comment"`
	Key       string   `json:"key"`
	Context   string   `json:"ctx"`
	CT        string   `json:"ct"`
	AEADKey   string   `json:"aeadKey"`
	BaseNonce string   `json:"baseNonce"`
	Length    int      `json:"msgLength"`
	Hash      string   `json:"msgSha512"`
	Result    string   `json:"result"`
	Flags     []string `json:"flags"`
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWycheproof(t *testing.T) {
	raw, err := os.ReadFile("../spec/vectors/content/c2sp/chunked_encryption_aes_256_gcm.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		NumberOfTests int
		TestGroups    []struct{ Tests []wycheproofCase }
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, g := range file.TestGroups {
		for _, c := range g.Tests {
			ran++
			z, err := zlib.NewReader(bytes.NewReader(unhex(t, c.CT)))
			if err != nil {
				t.Fatal(err)
			}
			ct, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			checkWycheproof(t, c, ct)
		}
	}
	if ran != 35 || ran != file.NumberOfTests {
		t.Fatalf("ran %d of %d cases", ran, file.NumberOfTests)
	}
}

func checkWycheproof(t *testing.T, c wycheproofCase, ct []byte) {
	key := unhex(t, c.Key)
	if len(key) != 32 {
		// A CEK is an array of 32 bytes: a key of another size has no type here.
		if c.Result != "invalid" || !slices.Contains(c.Flags, "InvalidKeySize") {
			t.Errorf("%d %s: key of %d bytes", c.ID, c.Comment, len(key))
		}
		return
	}
	msg, err := wycheproofStream(t, c, [32]byte(key), bytes.Clone(ct))
	if good := c.Result == "valid"; good != (err == nil) {
		t.Errorf("%d %s: stream: %v", c.ID, c.Comment, err)
	}
	if sum := sha512.Sum512(msg); len(msg) != c.Length || c.Hash != "" && hex.EncodeToString(sum[:]) != c.Hash {
		t.Errorf("%d %s: stream gave %d bytes, want %d", c.ID, c.Comment, len(msg), c.Length)
	}
	whole, err := wycheproofSegments(t, c, [32]byte(key), bytes.Clone(ct))
	if good := c.Result == "valid"; good != (err == nil) || good && !bytes.Equal(whole, msg) {
		t.Errorf("%d %s: segments: %v", c.ID, c.Comment, err)
	}
	if c.Result != "valid" {
		return
	}
	cs, commitment := deriveChunks([32]byte(key), [saltSize]byte(ct), unhex(t, c.Context))
	dst := bytes.NewBuffer(append(bytes.Clone(ct[:saltSize]), commitment[:]...))
	w := newChunkWriter(dst, cs, 0)
	if w.write(msg) != nil || w.finish() != nil || !bytes.Equal(dst.Bytes(), ct) {
		t.Errorf("%d %s: sealing again gives another ciphertext", c.ID, c.Comment)
	}
}

// wycheproofHead checks salt and commitment as NewReader does.
func wycheproofHead(t *testing.T, c wycheproofCase, key [32]byte, ct []byte) (*chunks, error) {
	if _, ok := plainLen(uint64(len(ct))); len(ct) < headSize {
		if ok {
			t.Errorf("%d %s: plainLen takes %d bytes", c.ID, c.Comment, len(ct))
		}
		return nil, ErrOpen
	}
	cs, commitment := deriveChunks(key, [saltSize]byte(ct), unhex(t, c.Context))
	if !bytes.Equal(commitment[:], ct[saltSize:headSize]) {
		return nil, ErrOpen
	}
	if c.AEADKey != "" {
		aead, base, _ := deriveParts(key, [saltSize]byte(ct), unhex(t, c.Context))
		if hex.EncodeToString(aead) != c.AEADKey || hex.EncodeToString(base[:]) != c.BaseNonce {
			t.Errorf("%d %s: other key or base nonce", c.ID, c.Comment)
		}
	}
	return cs, nil
}

func wycheproofStream(t *testing.T, c wycheproofCase, key [32]byte, ct []byte) ([]byte, error) {
	cs, err := wycheproofHead(t, c, key, ct)
	if err != nil {
		return nil, err
	}
	r := &chunkReader{chunks: cs, src: bytes.NewReader(ct[headSize:])}
	msg, err := io.ReadAll(r)
	if err != nil {
		if n, again := r.Read(make([]byte, 1)); n != 0 || again != err {
			t.Errorf("%d %s: a failed reader went on", c.ID, c.Comment)
		}
	}
	return msg, err
}

// wycheproofSegments opens ct under a list made for it, altered or not, so that
// what refuses is the chunk layer.
func wycheproofSegments(t *testing.T, c wycheproofCase, key [32]byte, ct []byte) ([]byte, error) {
	cs, err := wycheproofHead(t, c, key, ct)
	if err != nil {
		return nil, err
	}
	n, ok := plainLen(uint64(len(ct)))
	if !ok {
		return nil, ErrOpen
	}
	l := &Segments{length: uint64(len(ct)), padded: n, salt: [saltSize]byte(ct), commitment: [commitmentSize]byte(ct[saltSize:])}
	for i := range segmentCount(n) {
		off, k := l.span(i)
		h := sha256.Sum256(ct[off:][:k])
		l.hashes = append(l.hashes, h[:]...)
	}
	o := &opener{list: l, chunks: cs, buf: make([]byte, headSize+segmentSize),
		fetch: func(b []byte, off uint64) error { return fillAt(bytes.NewReader(ct), b, off) }}
	// Backwards by chunk, so that every segment is opened out of order too.
	msg := make([]byte, n)
	for i := chunkCount(n); i > 0; i-- {
		pos := (i - 1) * chunkSize
		if err := o.load((i - 1) / segmentChunks); err != nil {
			return nil, err
		}
		p, err := o.plain(pos)
		if err != nil {
			return nil, err
		}
		copy(msg[pos:], p)
	}
	return msg, nil
}
