package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"
)

// start is when the histories of the tests begin.
const start Time = 1_800_000_000_000

func seedOf(name string) []byte {
	h := sha256.Sum256([]byte("reseal test " + name))
	return h[:]
}

func accountKey(name string) AccountKey {
	k, err := AccountKeyFromSeed(seedOf("account key " + name))
	if err != nil {
		panic(err)
	}
	return k
}

func deviceKey(name string) DeviceKey {
	k, err := DeviceKeyFromSeed(seedOf("device key " + name))
	if err != nil {
		panic(err)
	}
	return k
}

func epochKey(name string) EpochKey {
	k, err := EpochKeyFromSeed(seedOf("epoch key " + name))
	if err != nil {
		panic(err)
	}
	return k
}

func authKey(name string) EpochAuthKey {
	k, err := EpochAuthKeyFromSeed(seedOf("auth key " + name))
	if err != nil {
		panic(err)
	}
	return k
}

func account(name string) (id AccountID) {
	copy(id[:], seedOf("account "+name))
	return id
}

// device n has ids that ascend with n.
func device(n int) Device {
	d := Device{Key: deviceKey(fmt.Sprint(n)).Public(), AddedAt: start.Add(0) + Time(n), Class: Native, How: ByPassword}
	copy(d.ID[:], seedOf(fmt.Sprint("device ", n)))
	d.ID[0] = byte(n)
	return d
}

func devices(from, to int) (out []Device) {
	for n := from; n < to; n++ {
		out = append(out, device(n))
	}
	return out
}

// alice's keys in the order in which they succeed one another.
func aliceKey(n int) AccountKey { return accountKey(fmt.Sprint("alice ", n)) }

func firstList(n int) DeviceList {
	l := FirstList(account("alice"), aliceKey(0).Public(), aliceKey(1).Public().Next(), device(1), start)
	l.Devices = devices(1, n+1)
	return l
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func certificate(n int, epoch uint64) Certificate {
	name := fmt.Sprint(n, " ", epoch)
	at := start.Add(EpochAge * 1) // a week in, so that earlier dates exist
	at += Time(epoch) * Time(EpochAge.Milliseconds())
	return Certificate{
		Account:    account("alice"),
		Device:     device(n).ID,
		Epoch:      epoch,
		Key:        epochKey(name).Public(),
		Auth:       authKey(name).Public(),
		MaxVersion: 1,
		NotBefore:  at,
		NotAfter:   at.Add(CertificateLife),
	}
}

func signedCertificate(n int, epoch uint64) *SignedCertificate {
	return must(SignCertificate(certificate(n, epoch), deviceKey(fmt.Sprint(n))))
}

// history is an account's lists in order, and every account key so far.
type history struct {
	lists []*SignedList
	keys  int
}

func newHistory() *history {
	return &history{lists: []*SignedList{must(SignList(firstList(1), aliceKey(0)))}, keys: 1}
}

func (h *history) last() *SignedList { return h.lists[len(h.lists)-1] }

func (h *history) push(l *SignedList) *SignedList {
	h.lists = append(h.lists, l)
	return l
}

func (h *history) add(n int) *SignedList {
	l := must(AddDevice(h.last(), device(n), h.last().List.IssuedAt+1))
	return h.push(must(SignList(l, aliceKey(h.keys-1))))
}

func (h *history) rotate() *SignedList {
	var keep []DeviceID
	for _, d := range h.last().List.Devices {
		keep = append(keep, d.ID)
	}
	old, key, next := aliceKey(h.keys-1), aliceKey(h.keys), aliceKey(h.keys+1)
	l := must(Rotate(h.last(), key.Public(), next.Public().Next(), keep, h.last().List.IssuedAt+1))
	h.keys++
	return h.push(must(SignRotation(l, old, key)))
}

// reset puts a list under a key that nobody committed to.
func (h *history) reset(name string) *SignedList {
	k := accountKey(name)
	l := h.last().successor(h.last().List.IssuedAt + 1)
	l.Key, l.Next = k.Public(), accountKey(name+" next").Public().Next()
	return h.push(must(SignList(l, k)))
}

// resign signs an altered body, as only the key holder could.
func resign(body []byte, k AccountKey) []byte {
	sig := k.Sign(nameList, body)
	return append(append([]byte(nil), body...), sig[:]...)
}

func patch(b []byte, at int, with ...byte) []byte {
	out := append([]byte(nil), b...)
	copy(out[at:], with)
	return out
}

// plusL is the same signature with S raised by the group order: a verifier that
// does not bound S takes both.
func plusL(sig Signature) Signature {
	order := [32]byte{
		0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
	}
	carry := 0
	for i := range order {
		n := int(sig[32+i]) + int(order[i]) + carry
		sig[32+i], carry = byte(n), n>>8
	}
	return sig
}

// identityPoint encodes the neutral element. Under it as a key, R = the same
// and S = 0 verify for every message.
var identityPoint = [32]byte{1}

func universalSignature() (sig Signature) {
	sig[0] = 1
	return sig
}

func TestUniversalSignatureNeedsTheKeyCheck(t *testing.T) {
	sig := universalSignature()
	if !ed25519.Verify(identityPoint[:], []byte("anything"), sig[:]) {
		t.Fatal("crypto/ed25519 refuses small-order keys by itself now: the check can go")
	}
	if err := verify(identityPoint, nameList, []byte("anything"), sig); err != ErrSignature {
		t.Fatalf("small-order key: %v", err)
	}
}
