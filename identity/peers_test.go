package identity

import (
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// encapsulation is one case of hpke-peers.json and hpke-go.json.
type encapsulation struct {
	Peer    string `json:"peer,omitempty"`
	Name    string `json:"name,omitempty"`
	Seed    string `json:"seed"`
	Public  string `json:"public"`
	Info    string `json:"info"`
	Context string `json:"context"`
	Enc     string `json:"enc"`
	Export  string `json:"export"`
}

// TestPeers opens what two other implementations encapsulated.
func TestPeers(t *testing.T) {
	var cases []encapsulation
	readStandard(t, "hpke-peers.json", &cases)
	peers, challenges := map[string]int{}, 0
	for i, c := range cases {
		peers[c.Peer]++
		k, err := EpochKeyFromSeed(unhex(t, c.Seed))
		if err != nil {
			t.Fatal(err)
		}
		pub := k.Public()
		if hex.EncodeToString(pub[:]) != c.Public {
			t.Errorf("#%d %s: public key differs", i, c.Peer)
		}
		got, err := export(k, unhex(t, c.Enc), unhex(t, c.Info), []byte(c.Context))
		if err != nil || hex.EncodeToString(got[:]) != c.Export {
			t.Errorf("#%d %s: export %x, %v", i, c.Peer, got, err)
		}
		cert := CertHash(sha256.Sum256([]byte("certificate")))
		if c.Info != hex.EncodeToString(SignedInput("epoch possession", cert[:])) {
			continue
		}
		challenges++
		proof, err := Answer(k, [EncSize]byte(unhex(t, c.Enc)), cert)
		if err != nil || hex.EncodeToString(proof[:]) != c.Export {
			t.Errorf("#%d %s: answer %x, %v", i, c.Peer, proof, err)
		}
	}
	if len(peers) != 2 || challenges != 2 {
		t.Errorf("%d peers, %d challenges", len(peers), challenges)
	}
}

// TestPeersOpenGo compares what the peers got out of Go's encapsulations, as
// peers/open.mjs recorded it, with what Go exports. crypto/hpke takes no
// randomness, so the encapsulations were made once: with -update, and only when
// hpke-go.json is missing; then run peers/open.mjs.
func TestPeersOpenGo(t *testing.T) {
	if *update {
		writeGoEncapsulations(t)
	}
	var cases []encapsulation
	readStandard(t, "hpke-go.json", &cases)
	want := map[string]encapsulation{}
	for _, c := range cases {
		k, err := EpochKeyFromSeed(unhex(t, c.Seed))
		if err != nil {
			t.Fatal(err)
		}
		got, err := export(k, unhex(t, c.Enc), unhex(t, c.Info), []byte(c.Context))
		if err != nil || hex.EncodeToString(got[:]) != c.Export {
			t.Errorf("%s: export %x, %v", c.Name, got, err)
		}
		want[c.Name] = c
	}
	var opened []struct{ Peer, Name, Public, Export string }
	readStandard(t, "hpke-go-opened.json", &opened)
	for _, o := range opened {
		c, ok := want[o.Name]
		if !ok || o.Export != c.Export || o.Public != c.Public {
			t.Errorf("%s, %s: opened to %s", o.Peer, o.Name, o.Export)
		}
	}
	if len(cases) != 3 || len(opened) != 2*len(cases) {
		t.Errorf("%d cases, %d records", len(cases), len(opened))
	}
}

func writeGoEncapsulations(t *testing.T) {
	path := filepath.Join(standardDir, "hpke-go.json")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	var cases []encapsulation
	add := func(name string, info []byte, context string) {
		k := epochKey("go " + name)
		pub := k.Public()
		enc, s, err := hpke.NewSender(must(pub.HPKE()), hpke.HKDFSHA256(), hpke.ExportOnly(), info)
		if err != nil {
			t.Fatal(err)
		}
		value := must(s.Export(context, 32))
		cases = append(cases, encapsulation{Name: name, Seed: hex.EncodeToString(k.Seed()), Public: hex.EncodeToString(pub[:]),
			Info: hex.EncodeToString(info), Context: context, Enc: hex.EncodeToString(enc), Export: hex.EncodeToString(value)})
	}
	long := make([]byte, 700)
	for i := range long {
		long[i] = byte(i)
	}
	add("no info", nil, "")
	add("long info", long, "reseal/1 wrap")
	k := epochKey("go challenge")
	pub := k.Public()
	cert := signedCertificate(1, 1).Hash()
	enc, proof, err := Challenge(pub, cert)
	if err != nil {
		t.Fatal(err)
	}
	cases = append(cases, encapsulation{Name: "challenge", Seed: hex.EncodeToString(k.Seed()), Public: hex.EncodeToString(pub[:]),
		Info: hex.EncodeToString(SignedInput("epoch possession", cert[:])), Context: possession, Enc: hex.EncodeToString(enc[:]), Export: hex.EncodeToString(proof[:])})
	if err := os.WriteFile(path, append(must(json.MarshalIndent(cases, "", "  ")), '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// exportOf is the export of an export-only context with this shared secret:
// RFC 9180, 5.1, written out, because crypto/hpke takes no shared secret.
func exportOf(shared, info, context []byte) [32]byte {
	suite := []byte("HPKE\x64\x7a\x00\x01\xff\xff")
	mac := func(key []byte, parts ...[]byte) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	extract := func(salt []byte, label string, ikm []byte) []byte {
		return mac(salt, []byte("HPKE-v1"), suite, []byte(label), ikm)
	}
	expand := func(prk []byte, label string, info []byte) []byte {
		return mac(prk, []byte{0, 32}, []byte("HPKE-v1"), suite, []byte(label), info, []byte{1})
	}
	schedule := append([]byte{0}, extract(nil, "psk_id_hash", nil)...)
	schedule = append(schedule, extract(nil, "info_hash", info)...)
	secret := extract(shared, "secret", nil)
	return [32]byte(expand(expand(secret, "exp", schedule), "sec", context))
}
