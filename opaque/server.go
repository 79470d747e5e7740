package opaque

import (
	"crypto/sha256"
	"crypto/subtle"
	"io"

	"github.com/bytemare/ecc"
	lib "github.com/bytemare/opaque"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

// Server is the server's half. It keeps nothing of any login and is safe for
// concurrent use.
type Server struct {
	redacted
	s      suite
	lib    *lib.Server
	fake   []byte
	tokens [32]byte
	// private and public are the AKE key, read only.
	private *ecc.Scalar
	public  ServerKey
}

// Known is an account as the server has it stored: what a login at its handle
// is answered from.
type Known struct {
	Account    identity.AccountID
	Credential uint64 // 1 at sign-up, one more with every change of the password
	Record     []byte // RecordSize bytes, from Registration.Finish
}

// NewServer returns the server that s makes.
func NewServer(s Setup) (*Server, error) {
	key, err := s.key()
	if err != nil {
		return nil, ErrSetup
	}
	material := &lib.ServerKeyMaterial{
		PrivateKey:     key,
		PublicKeyBytes: production.conf.AKE.Group().Base().Multiply(key).Encode(),
		OPRFGlobalSeed: s.seed[:],
	}
	v, err := newServer(production, material)
	if err != nil {
		return nil, err
	}
	v.fake, v.tokens = s.fakeRecord(), s.Key("login state")
	v.private, v.public = key, ServerKey(material.PublicKeyBytes)
	return v, nil
}

func newServer(s suite, material *lib.ServerKeyMaterial) (*Server, error) {
	l, err := s.conf.Server()
	if err != nil {
		return nil, err
	}
	if err := l.SetKeyMaterial(material); err != nil {
		return nil, ErrSetup
	}
	return &Server{s: s, lib: l}, nil
}

// credentialID names the OPRF key of a handle. It is made from the handle
// alone, which exists for unknown ones too, so that the evaluation for a handle
// is the same before and after somebody signs up with it.
func credentialID(h handle.Handle) []byte {
	sum := sha256.Sum256([]byte("reseal/1 credential id\x00" + h))
	return sum[:]
}

// Register answers a registration request. It must be refused by the caller for
// a handle in use, other than to the session of that very account: the answer
// would let anybody evaluate the account's OPRF past the limits on logins.
// Errors: [ErrMessage].
func (v *Server) Register(h handle.Handle, request []byte) (response []byte, err error) {
	return v.register(credentialID(h), request)
}

func (v *Server) register(credential, request []byte) ([]byte, error) {
	m, err := v.lib.Deserialize.RegistrationRequest(request)
	if err != nil {
		return nil, ErrMessage
	}
	answer, err := v.lib.RegistrationResponse(m, credential, nil)
	if err != nil {
		return nil, ErrMessage
	}
	return answer.Serialize(), nil
}

// CheckRecord reports whether a registration record can be stored: [ErrMessage]
// if not.
func (v *Server) CheckRecord(record []byte) error {
	if _, err := v.lib.Deserialize.RegistrationRecord(record); err != nil {
		return ErrMessage
	}
	return nil
}

// StartLogin answers KE1, KE1Size bytes, with KE2, KE2Size bytes, and with the
// login state that the client brings back with KE3. k is nil for an unknown
// handle: sizes and work are the same. The state is good until now +
// LoginStateLife. rand gives the state's id. Errors: [ErrMessage].
func (v *Server) StartLogin(rand io.Reader, h handle.Handle, k *Known, ke1 []byte, now identity.Time) (ke2, state []byte, err error) {
	st := LoginState{Handle: h, Expires: now.Add(LoginStateLife)}
	if _, err := io.ReadFull(rand, st.ID[:]); err != nil {
		return nil, nil, err
	}
	record := v.fake
	if k != nil {
		st.known, st.Account, st.Credential, record = true, k.Account, k.Credential, k.Record
	}
	ids := identitiesOf(h)
	ke2, out, err := v.respond(credentialID(h), ids.client, record, ke1, random{})
	if err != nil {
		return nil, nil, err
	}
	st.mac = [KE3Size]byte(out.ClientMAC)
	st.session = sessionSecret(out.SessionSecret).Hash()
	return ke2, st.seal(v.tokens), nil
}

func (v *Server) respond(credential, client, record, ke1 []byte, r random) ([]byte, *lib.ServerOutput, error) {
	m, err := v.lib.Deserialize.KE1(ke1)
	if err != nil {
		return nil, nil, ErrMessage
	}
	rec, err := v.lib.Deserialize.RegistrationRecord(record)
	if err != nil {
		return nil, nil, ErrMessage
	}
	o := &lib.ServerOptions{MaskingNonce: r.maskingNonce}
	if r.keyShareSeed != nil {
		o.AKE = &lib.AKEOptions{SecretKeyShareSeed: r.keyShareSeed, Nonce: r.nonce}
	}
	ke2, out, err := v.lib.GenerateKE2(m, &lib.ClientRecord{
		RegistrationRecord: rec, CredentialIdentifier: credential, ClientIdentity: client,
	}, o)
	if err != nil {
		return nil, nil, ErrMessage
	}
	return ke2.Serialize(), out, nil
}

// FinishLogin takes the state and KE3, KE3Size bytes, and the hash of the
// session that the client wants, which must be the one that this login gives.
// The caller still has to check that the account's credential number is the
// state's, and that the state's ID was used for no other session. Errors:
// [ErrLogin], [ErrExpired].
func (v *Server) FinishLogin(state, ke3 []byte, session SessionHash, now identity.Time) (LoginState, error) {
	st, err := openLoginState(v.tokens, state)
	if err != nil {
		return LoginState{}, err
	}
	if now > st.Expires {
		return LoginState{}, ErrExpired
	}
	// All of it is compared in constant time and answered as one: the fake
	// record's MAC cannot be known to anybody, and known is checked besides.
	good := subtle.ConstantTimeCompare(ke3, st.mac[:]) & subtle.ConstantTimeCompare(session[:], st.session[:])
	if !st.known || good != 1 {
		return LoginState{}, ErrLogin
	}
	return st, nil
}
