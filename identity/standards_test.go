package identity

import (
	"crypto/hpke"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const standardDir = "../spec/vectors/standards"

func readStandard(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(standardDir, name))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestEd25519EdgeCases runs every combination of low-order points, low-order
// components and encodings that are not canonical. We accept exactly those
// that have none of the four flags below; the components of low order that
// cancel out are left, because only the key's owner can make such a signature.
func TestEd25519EdgeCases(t *testing.T) {
	var vectors []struct {
		A, R, S, M string
		Flags      []string
	}
	readStandard(t, "ed25519.json", &vectors)
	refused := []string{"LowOrderA", "NonCanonicalA", "LowOrderResidue", "NonCanonicalR"}
	accepted := 0
	for i, v := range vectors {
		want := !slices.ContainsFunc(v.Flags, func(f string) bool { return slices.Contains(refused, f) })
		key := [32]byte(unhex(t, v.A))
		sig := Signature(append(unhex(t, v.R), unhex(t, v.S)...))
		if got := verifyInput(key, []byte(v.M), sig) == nil; got != want {
			t.Errorf("#%d %v: accepted %v", i, v.Flags, got)
		}
		if weak := slices.Contains(v.Flags, "LowOrderA") || slices.Contains(v.Flags, "NonCanonicalA"); weak != (checkEd25519(key) != nil) {
			t.Errorf("#%d %v: key check says %v", i, v.Flags, checkEd25519(key))
		}
		if want {
			accepted++
		}
	}
	if len(vectors) != 768 || accepted == 0 {
		t.Errorf("%d vectors, %d accepted", len(vectors), accepted)
	}
}

// TestXWing runs the vectors of draft-connolly-cfrg-xwing-kem: the seed is our
// private key, so its public half must be theirs. crypto/hpke hands out no
// shared secret; what an HPKE context exports after it is compared instead.
func TestXWing(t *testing.T) {
	var vectors []struct{ Seed, Eseed, PK, CT, SS string }
	readStandard(t, "xwing.json", &vectors)
	for i, v := range vectors {
		k, err := EpochKeyFromSeed(unhex(t, v.Seed))
		if err != nil {
			t.Fatal(err)
		}
		pub := k.Public()
		if hex.EncodeToString(pub[:]) != v.PK || pub.Check() != nil {
			t.Errorf("#%d: public key differs", i)
		}
		got, err := export(k, unhex(t, v.CT), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := exportOf(unhex(t, v.SS), nil, nil); got != want {
			t.Errorf("#%d: export %x, want %x", i, got, want)
		}
	}
	if len(vectors) != 3 {
		t.Errorf("%d vectors", len(vectors))
	}
}

// TestHPKEVectors runs the vectors of draft-ietf-hpke-pq for our KEM.
func TestHPKEVectors(t *testing.T) {
	var vectors []struct {
		KEM         uint16 `json:"kem_id"`
		KDF         uint16 `json:"kdf_id"`
		AEAD        uint16 `json:"aead_id"`
		Info        string `json:"info"`
		SkRm        string `json:"skRm"`
		PkRm        string `json:"pkRm"`
		Enc         string `json:"enc"`
		Encryptions []struct{ Aad, Ct, Pt string }
		Exports     []struct {
			Context string `json:"exporter_context"`
			L       int    `json:"L"`
			Value   string `json:"exported_value"`
		}
	}
	readStandard(t, "hpke-pq.json", &vectors)
	for i, v := range vectors {
		if v.KEM != hpke.MLKEM768X25519().ID() {
			t.Fatalf("#%d: KEM %04x", i, v.KEM)
		}
		k, err := EpochKeyFromSeed(unhex(t, v.SkRm))
		if err != nil {
			t.Fatal(err)
		}
		pub := k.Public()
		if hex.EncodeToString(pub[:]) != v.PkRm {
			t.Errorf("#%d: public key differs", i)
		}
		r, err := hpke.NewRecipient(unhex(t, v.Enc), k.HPKE(), must(hpke.NewKDF(v.KDF)), must(hpke.NewAEAD(v.AEAD)), unhex(t, v.Info))
		if err != nil {
			t.Fatal(err)
		}
		for j, e := range v.Encryptions {
			pt, err := r.Open(unhex(t, e.Aad), unhex(t, e.Ct))
			if err != nil || hex.EncodeToString(pt) != e.Pt {
				t.Errorf("#%d: encryption %d: %v", i, j, err)
			}
		}
		for j, e := range v.Exports {
			if got, err := r.Export(string(unhex(t, e.Context)), e.L); err != nil || hex.EncodeToString(got) != e.Value {
				t.Errorf("#%d: export %d: %v", i, j, err)
			}
		}
	}
	if len(vectors) != 2 {
		t.Errorf("%d vectors", len(vectors))
	}
}

// export opens enc as every use of HPKE in Reseal does.
func export(k EpochKey, enc, info, context []byte) (out [32]byte, err error) {
	r, err := hpke.NewRecipient(enc, k.HPKE(), hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		return out, err
	}
	b, err := r.Export(string(context), 32)
	copy(out[:], b)
	return out, err
}
