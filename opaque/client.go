package opaque

import (
	lib "github.com/bytemare/opaque"
	"github.com/bytemare/opaque/message"

	"github.com/reseal/reseal/handle"
)

// Registration is the client's half of one registration, between its two
// messages. It holds the password until Finish.
type Registration struct {
	redacted
	s      suite
	ids    identities
	random random
	client *lib.Client
}

// StartRegistration makes the registration request, RequestSize bytes, for a
// sign-up or a password change. Errors: [ErrPassword].
func StartRegistration(h handle.Handle, password []byte) (*Registration, []byte, error) {
	return production.startRegistration(identitiesOf(h), password, random{})
}

func (s suite) startRegistration(ids identities, password []byte, r random) (*Registration, []byte, error) {
	c, err := s.client(password)
	if err != nil {
		return nil, nil, err
	}
	o, err := s.clientStart(r)
	if err != nil {
		return nil, nil, err
	}
	m, err := c.RegistrationInit(password, o)
	if err != nil {
		return nil, nil, err
	}
	return &Registration{s: s, ids: ids, random: r, client: c}, m.Serialize(), nil
}

// Finish takes the server's response and returns the record that the server
// stores, RecordSize bytes, and the export key. It runs Argon2id: about 0.1 s
// and 64 MiB, in one call at a time in a process, given back before it returns. Errors: [ErrMessage]. The record lets its reader guess the
// password offline, given the server's setup: it goes to the server only.
func (r *Registration) Finish(response []byte) (record []byte, key ExportKey, err error) {
	defer r.client.ClearState()
	m, err := r.client.Deserialize.RegistrationResponse(response)
	if err != nil {
		return nil, ExportKey{}, ErrMessage
	}
	var rec *message.RegistrationRecord
	var export []byte
	stretched(func() {
		rec, export, err = r.client.RegistrationFinalize(m, r.ids.client, r.ids.server, r.s.clientFinish(r.random))
	})
	if err != nil {
		return nil, ExportKey{}, ErrMessage
	}
	defer clear(export)
	return rec.Serialize(), ExportKey{b: [64]byte(export)}, nil
}

// Login is the client's half of one login, between its two messages. It holds
// the password until Finish.
type Login struct {
	redacted
	s      suite
	ids    identities
	client *lib.Client
}

// Result is what a client has after a login that the server proved itself in.
type Result struct {
	// KE3 goes to the server, KE3Size bytes.
	KE3 []byte
	// Session authenticates the client's calls once the server took KE3.
	Session SessionSecret
	// Export opens the capsule.
	Export ExportKey
}

// StartLogin makes KE1, KE1Size bytes. Errors: [ErrPassword].
func StartLogin(h handle.Handle, password []byte) (*Login, []byte, error) {
	return production.startLogin(identitiesOf(h), password, random{})
}

func (s suite) startLogin(ids identities, password []byte, r random) (*Login, []byte, error) {
	c, err := s.client(password)
	if err != nil {
		return nil, nil, err
	}
	o, err := s.clientStart(r)
	if err != nil {
		return nil, nil, err
	}
	m, err := c.GenerateKE1(password, o)
	if err != nil {
		return nil, nil, err
	}
	return &Login{s: s, ids: ids, client: c}, m.Serialize(), nil
}

// Finish takes KE2. It runs Argon2id as [Registration.Finish] does. [ErrLogin] says
// that the password is wrong, or the handle unknown, or that this is not the
// server that the password was registered with: nothing tells these apart.
func (l *Login) Finish(ke2 []byte) (Result, error) {
	r, sessionKey, err := l.finish(ke2)
	clear(sessionKey)
	return r, err
}

// FinishAt is Finish where the server has proved a key: it succeeds only if the
// password was registered with the server of that very key, which the login so
// authenticates. Other errors are [ErrLogin] as well.
func (l *Login) FinishAt(ke2 []byte, k ServerKey) (Result, error) {
	// Without a name of its own the server's name in the envelope and in the
	// transcript is its public key (RFC 9807, section 4): to give the key as the
	// name changes nothing if it is that key, and fails if it is another.
	l.ids.server = k[:]
	return l.Finish(ke2)
}

// RegisteredAt is the key that a registration response, ResponseSize bytes, makes
// the record for. Errors: [ErrMessage].
func RegisteredAt(response []byte) (ServerKey, error) {
	if len(response) != ResponseSize {
		return ServerKey{}, ErrMessage
	}
	return ServerKey(response[ResponseSize-32:]), nil
}

func (l *Login) finish(ke2 []byte) (Result, []byte, error) {
	defer l.client.ClearState()
	m, err := l.client.Deserialize.KE2(ke2)
	if err != nil {
		return Result{}, nil, ErrLogin
	}
	var ke3 *message.KE3
	var session, export []byte
	stretched(func() {
		ke3, session, export, err = l.client.GenerateKE3(m, l.ids.client, l.ids.server, l.s.clientFinish(random{}))
	})
	if err != nil {
		return Result{}, nil, ErrLogin
	}
	defer clear(export)
	return Result{
		KE3: ke3.Serialize(), Session: sessionSecret(session), Export: ExportKey{b: [64]byte(export)},
	}, session, nil
}

func (s suite) client(password []byte) (*lib.Client, error) {
	if len(password) == 0 || len(password) > MaxPassword {
		return nil, ErrPassword
	}
	return s.conf.Client()
}
