package opaque

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

// LoginStateLife is the time a client has between KE2 and KE3: minutes, for
// somebody else's memory-starved phone to run Argon2id.
const LoginStateLife = 5 * time.Minute

const (
	stateVersion = 1
	stateFixed   = 2 + 16 + 8 + 8 + 1 + KE3Size + 32
	stateOuter   = 2 + 32 + 16
	// maxLoginState is the longest sealed state, with the longest handle.
	maxLoginState = stateOuter + stateFixed + handle.MaxSize
)

// LoginState is what the server knows between KE2 and KE3. It is sealed under a
// key of the server's setup and handed to the client, so that no node keeps
// anything and any node can finish the login.
type LoginState struct {
	// ID is 32 random bytes, one for each login: the store takes the session
	// that a login ends in under it once.
	ID         [32]byte
	Handle     handle.Handle
	Account    identity.AccountID
	Credential uint64
	Expires    identity.Time

	known   bool
	mac     [KE3Size]byte // the KE3 to come
	session SessionHash
}

// seal encrypts under a key made for this one state by its random id, which is
// why the nonce can be constant however many logins there are.
func (st LoginState) seal(master [32]byte) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(st.Handle)) })
	b.AddBytes(st.Account[:])
	b.AddUint64(st.Credential)
	b.AddUint64(uint64(st.Expires))
	known := uint8(0)
	if st.known {
		known = 1
	}
	b.AddUint8(known)
	b.AddBytes(st.mac[:])
	b.AddBytes(st.session[:])
	head := append([]byte{0, stateVersion}, st.ID[:]...)
	return st.aead(master).Seal(head, make([]byte, 12), b.BytesOrPanic(), head)
}

func (st LoginState) aead(master [32]byte) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, master[:], st.ID[:], "reseal/1 login state", 32)
	if err != nil {
		panic("opaque: internal error: " + err.Error())
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("opaque: internal error: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("opaque: internal error: " + err.Error())
	}
	return aead
}

// openLoginState opens a sealed state; [ErrLogin] for whatever is not one.
func openLoginState(master [32]byte, sealed []byte) (st LoginState, err error) {
	const head = 2 + len(st.ID)
	if len(sealed) < head || len(sealed) > maxLoginState || sealed[0] != 0 || sealed[1] != stateVersion {
		return LoginState{}, ErrLogin
	}
	copy(st.ID[:], sealed[2:])
	plain, err := st.aead(master).Open(nil, make([]byte, 12), sealed[head:], sealed[:head])
	if err != nil {
		return LoginState{}, ErrLogin
	}
	var h cryptobyte.String
	var expires uint64
	var known uint8
	in := cryptobyte.String(plain)
	if !in.ReadUint16LengthPrefixed(&h) || !in.CopyBytes(st.Account[:]) || !in.ReadUint64(&st.Credential) ||
		!in.ReadUint64(&expires) || !in.ReadUint8(&known) || known > 1 ||
		!in.CopyBytes(st.mac[:]) || !in.CopyBytes(st.session[:]) || !in.Empty() {
		return LoginState{}, ErrLogin
	}
	st.Handle, st.Expires, st.known = handle.Handle(h), identity.Time(expires), known == 1
	return st, nil
}
