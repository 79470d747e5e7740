package opaque

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	lib "github.com/bytemare/opaque"
)

type rfcVector struct {
	Config          struct{ Context string }
	Inputs, Outputs map[string]string
}

func (v rfcVector) in(t *testing.T, name string) []byte  { return unhex(t, v.Inputs[name]) }
func (v rfcVector) out(t *testing.T, name string) []byte { return unhex(t, v.Outputs[name]) }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	if s == "" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readRFC(t *testing.T, name string) (v rfcVector, s suite) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../spec/vectors/login", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	// The vectors differ from production in context and key stretching only.
	return v, suite{conf: &lib.Configuration{
		OPRF: lib.RistrettoSha512, AKE: lib.RistrettoSha512,
		KDF: crypto.SHA512, MAC: crypto.SHA512, Hash: crypto.SHA512, Context: unhex(t, v.Config.Context),
	}}
}

func (v rfcVector) server(t *testing.T, s suite, ids identities) *Server {
	t.Helper()
	key := s.conf.AKE.Group().NewScalar()
	if err := key.Decode(v.in(t, "server_private_key")); err != nil {
		t.Fatal(err)
	}
	srv, err := newServer(s, &lib.ServerKeyMaterial{
		PrivateKey: key, PublicKeyBytes: v.in(t, "server_public_key"),
		OPRFGlobalSeed: v.in(t, "oprf_seed"), Identity: ids.server,
	})
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %x\nwant %x", what, got, want)
	}
}

// TestRFC9807 runs the published vectors through both halves.
func TestRFC9807(t *testing.T) {
	for _, name := range []string{"rfc9807-c1-1-real.json", "rfc9807-c1-2-real-identities.json"} {
		t.Run(name, func(t *testing.T) {
			v, s := readRFC(t, name)
			ids := identities{v.in(t, "client_identity"), v.in(t, "server_identity")}
			srv := v.server(t, s, ids)

			reg, request, err := s.startRegistration(ids, v.in(t, "password"), random{
				blind: v.in(t, "blind_registration"), envelopeNonce: v.in(t, "envelope_nonce"),
			})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "registration request", request, v.out(t, "registration_request"))
			response, err := srv.register(v.in(t, "credential_identifier"), request)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "registration response", response, v.out(t, "registration_response"))
			record, export, err := reg.Finish(response)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "record", record, v.out(t, "registration_upload"))
			equal(t, "export key of the registration", export.b[:], v.out(t, "export_key"))

			login, ke1, err := s.startLogin(ids, v.in(t, "password"), random{
				blind: v.in(t, "blind_login"), keyShareSeed: v.in(t, "client_keyshare_seed"), nonce: v.in(t, "client_nonce"),
			})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "KE1", ke1, v.out(t, "KE1"))
			ke2, out, err := srv.respond(v.in(t, "credential_identifier"), ids.client, record, ke1, random{
				keyShareSeed: v.in(t, "server_keyshare_seed"), nonce: v.in(t, "server_nonce"), maskingNonce: v.in(t, "masking_nonce"),
			})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "KE2", ke2, v.out(t, "KE2"))
			equal(t, "server's session key", out.SessionSecret, v.out(t, "session_key"))
			equal(t, "server's KE3", out.ClientMAC, v.out(t, "KE3"))
			r, session, err := login.finish(ke2)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "KE3", r.KE3, v.out(t, "KE3"))
			equal(t, "session key", session, v.out(t, "session_key"))
			equal(t, "export key of the login", r.Export.b[:], v.out(t, "export_key"))
		})
	}
}

// TestRFC9807Fake is the answer for an unknown client, from a fake record.
func TestRFC9807Fake(t *testing.T) {
	v, s := readRFC(t, "rfc9807-c2-1-fake.json")
	srv := v.server(t, s, identities{server: v.in(t, "server_identity")})
	record := append(v.in(t, "client_public_key"), v.in(t, "masking_key")...)
	record = append(record, make([]byte, RecordSize-len(record))...)
	ke2, _, err := srv.respond(v.in(t, "credential_identifier"), v.in(t, "client_identity"), record, v.in(t, "KE1"), random{
		keyShareSeed: v.in(t, "server_keyshare_seed"), nonce: v.in(t, "server_nonce"), maskingNonce: v.in(t, "masking_nonce"),
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "KE2", ke2, v.out(t, "KE2"))
}
