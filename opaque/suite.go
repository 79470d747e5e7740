package opaque

import (
	"crypto"
	"errors"

	"github.com/bytemare/ecc"
	"github.com/bytemare/ksf"
	lib "github.com/bytemare/opaque"

	"github.com/reseal/reseal/handle"
)

// Sizes of the messages of RFC 9807, section 2 and 6, in bytes. They are the
// same for every account.
const (
	RequestSize  = 32  // registration request
	ResponseSize = 64  // registration response
	RecordSize   = 192 // registration record
	KE1Size      = 96
	KE2Size      = 320
	KE3Size      = 64
)

// MaxPassword is the longest password, bytes. The OPRF takes 65,535; nobody
// remembers that many, and services use 32 random ones.
const MaxPassword = 1 << 10

var (
	// ErrLogin is the one answer to a wrong password, an unknown handle, a
	// message that was changed on its way, and a login state that is not the
	// server's own.
	ErrLogin = errors.New("opaque: login failed")
	// ErrExpired is returned for the server's own login state, too late: the
	// client starts over.
	ErrExpired = errors.New("opaque: login took too long")
	// ErrMessage is returned for bytes that are no OPAQUE message of the kind
	// asked for.
	ErrMessage = errors.New("opaque: malformed message")
	// ErrPassword is returned for no password, or one above MaxPassword bytes.
	ErrPassword = errors.New("opaque: password of unusable length")
	// ErrSetup is returned for bytes that are no key file of a server.
	ErrSetup = errors.New("opaque: malformed server setup")
)

// suite is a configuration of OPAQUE with its key stretching parameters. The
// program has one, production; the tests also run that of the RFC's vectors.
type suite struct {
	conf    *lib.Configuration
	salt    []byte
	params  []uint64
	stretch int
}

// production is spec/login.md, "Parameters". Argon2id takes 64 MiB: a phone
// and a browser can spend that, and it is the second choice of RFC 9106,
// section 4, with one lane because wasm has one thread. The salt is constant,
// as in RFC 9807, section 7: what is stretched is the output of an OPRF whose
// key differs for each account.
var production = suite{
	conf: &lib.Configuration{
		OPRF: lib.RistrettoSha512, AKE: lib.RistrettoSha512, KSF: ksf.Argon2id,
		KDF: crypto.SHA512, MAC: crypto.SHA512, Hash: crypto.SHA512, Context: []byte("reseal/1 opaque"),
	},
	salt:    make([]byte, 16),
	params:  []uint64{3, 64 << 10, 1},
	stretch: 64,
}

// random is what the tests fix; nil fields are drawn by the library.
type random struct {
	blind, keyShareSeed, nonce, envelopeNonce, maskingNonce []byte
}

func (s suite) clientStart(r random) (*lib.ClientOptions, error) {
	o := new(lib.ClientOptions)
	if r.blind != nil {
		o.OPRFBlind = s.conf.OPRF.Group().NewScalar()
		if err := o.OPRFBlind.Decode(r.blind); err != nil {
			return nil, err
		}
	}
	if r.keyShareSeed != nil {
		o.AKE = &lib.AKEOptions{SecretKeyShareSeed: r.keyShareSeed, Nonce: r.nonce}
	}
	return o, nil
}

func (s suite) clientFinish(r random) *lib.ClientOptions {
	return &lib.ClientOptions{
		KSFSalt: s.salt, KSFParameters: s.params, KSFLength: s.stretch,
		RegistrationEnvelopeNonce: r.envelopeNonce,
	}
}

// identities are those of RFC 9807, section 6: the client's, if any, and the
// server's. Without one the public key stands for it.
type identities struct{ client, server []byte }

func identitiesOf(h handle.Handle) identities { return identities{client: []byte(h)} }

// scalar maps 64 uniform bytes to a private key of the group.
func scalar(uniform []byte, label string) *ecc.Scalar {
	return production.conf.AKE.Group().HashToScalar(uniform, []byte(label))
}
