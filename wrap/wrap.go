package wrap

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

const (
	exportLabel = "reseal/1 wrap"
	keyLabel    = "reseal/1 wrap key"
	plainSize   = 3 * 32 // CEK, R, digest
)

var (
	// ErrOpen is returned for every wrap that does not open, whatever the
	// reason: another key, an altered byte, another message.
	ErrOpen = errors.New("wrap: does not open")
	// ErrKey is returned for a recipient's public key that no wrap can be made
	// to. A sender skips and counts that device.
	ErrKey = errors.New("wrap: unusable public key")
	// ErrContext is returned when what is to be sealed contradicts itself: it
	// is the caller's mistake, and nothing was sealed.
	ErrContext = errors.New("wrap: context, header and secret do not belong together")
)

// Secret is what a wrap carries. The key and R print as "hidden".
type Secret struct {
	CEK    seal.CEK
	R      message.R
	Digest message.Digest
}

// Seal makes a wrap of s under the message header for the device with the epoch
// key to and the epoch auth key toAuth; auth is the wrapping device's. The header
// is the message's own; Seal adds the rewrapper where ctx.From is not the
// sending device. The encapsulation is fresh each time and takes its randomness
// from the system, as crypto/hpke does. Errors: [ErrKey], [ErrContext].
func Seal(ctx message.WrapContext, to identity.EpochPublic, toAuth identity.EpochAuthPublic,
	auth identity.EpochAuthKey, header message.Header, s Secret) (message.Wrap, error) {
	if err := checkSeal(ctx, auth.Public(), header, s); err != nil {
		return message.Wrap{}, err
	}
	z, err := auth.DH(toAuth)
	if err != nil {
		return message.Wrap{}, ErrKey
	}
	defer clear(z[:])
	return sealWith(ctx, to, &z, header, s)
}

// Open opens a wrap that was made for the epoch key by a device with the epoch
// auth key fromAuth, taken from its verified certificate; auth belongs to epoch.
// The header is the message's as the server stores it. Open checks that context
// and header belong together and that the wrap carries the header's digest.
// Errors: [ErrOpen] only, and then the secret is zero.
func Open(w message.Wrap, epoch identity.EpochKey, auth identity.EpochAuthKey,
	fromAuth identity.EpochAuthPublic, header message.Header) (Secret, error) {
	if checkOpen(&w, fromAuth, header) != nil {
		return Secret{}, ErrOpen
	}
	z, err := auth.DH(fromAuth)
	if err != nil {
		return Secret{}, ErrOpen
	}
	defer clear(z[:])
	return openWith(&w, epoch, &z, header)
}

func checkSeal(ctx message.WrapContext, auth identity.EpochAuthPublic, header message.Header, s Secret) error {
	if ctx.Validate() != nil || header.Validate() != nil || ctx.Fits(header) != nil ||
		auth != ctx.From.Auth || s.Digest != header.Digest {
		return ErrContext
	}
	return nil
}

func checkOpen(w *message.Wrap, fromAuth identity.EpochAuthPublic, header message.Header) error {
	if w.Context.Validate() != nil || header.Validate() != nil || w.Context.Fits(header) != nil ||
		fromAuth != w.Context.From.Auth {
		return ErrOpen
	}
	return nil
}

func sealWith(ctx message.WrapContext, to identity.EpochPublic, z *[32]byte, header message.Header, s Secret) (message.Wrap, error) {
	public, err := to.HPKE()
	if err != nil {
		return message.Wrap{}, ErrKey
	}
	info := ctx.Encode()
	enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil || len(enc) != message.EncSize {
		return message.Wrap{}, ErrKey
	}
	w := message.Wrap{Context: ctx, Enc: [message.EncSize]byte(enc)}
	aead, err := boxCipher(sender, z, info, enc)
	if err != nil {
		return message.Wrap{}, ErrKey
	}
	plain := make([]byte, 0, plainSize)
	plain = append(plain, s.CEK[:]...)
	plain = append(plain, s.R[:]...)
	plain = append(plain, s.Digest[:]...)
	defer clear(plain)
	aead.Seal(w.Box[:0], make([]byte, aead.NonceSize()), plain, w.Header(header).Encode())
	return w, nil
}

func openWith(w *message.Wrap, epoch identity.EpochKey, z *[32]byte, header message.Header) (Secret, error) {
	info := w.Context.Encode()
	recipient, err := hpke.NewRecipient(w.Enc[:], epoch.HPKE(), hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		return Secret{}, ErrOpen
	}
	aead, err := boxCipher(recipient, z, info, w.Enc[:])
	if err != nil {
		return Secret{}, ErrOpen
	}
	plain, err := aead.Open(make([]byte, 0, plainSize), make([]byte, aead.NonceSize()), w.Box[:], w.Header(header).Encode())
	if err != nil {
		return Secret{}, ErrOpen
	}
	defer clear(plain)
	if len(plain) != plainSize || subtle.ConstantTimeCompare(plain[64:], header.Digest[:]) != 1 {
		return Secret{}, ErrOpen
	}
	return Secret{CEK: seal.CEK(plain[:32]), R: message.R(plain[32:64]), Digest: message.Digest(plain[64:])}, nil
}

// boxCipher derives the key of the box and returns the cipher. The nonce with it
// is all zero: the key comes from a fresh encapsulation and seals one box only.
func boxCipher(ctx interface {
	Export(string, int) ([]byte, error)
}, z *[32]byte, info, enc []byte) (cipher.AEAD, error) {
	s, err := ctx.Export(exportLabel, 32)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 0, 64)
	secret = append(append(secret, s...), z[:]...)
	hc, he := sha256.Sum256(info), sha256.Sum256(enc)
	k, err := hkdf.Key(sha256.New, secret, nil, keyLabel+string(hc[:])+string(he[:]), 32)
	clear(s)
	clear(secret)
	if err != nil {
		return nil, err
	}
	defer clear(k)
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
