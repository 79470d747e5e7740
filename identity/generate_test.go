package identity

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Where the fields of a list body begin.
const (
	atForm        = 2
	atKey         = 19
	atNext        = 51
	atVersion     = 83
	atPrev        = 91
	atIssued      = 123
	atBookVersion = 131
	atDevices     = 171
	atDevice      = 173
)

// The first millisecond that no record may carry, and 90 days before it.
var (
	year10000      = uint64Bytes(uint64(MaxTime) + 1)
	untilYear10000 = uint64Bytes(uint64((MaxTime + 1).Add(-CertificateLife)))
)

func uint64Bytes(n uint64) (b [8]byte) {
	binary.BigEndian.PutUint64(b[:], n)
	return b
}

// scenarios makes every vector of spec/vectors/identity.
func scenarios() (out []scenario) {
	out = append(out, listScenarios()...)
	out = append(out, certificateScenarios()...)
	out = append(out, followScenarios()...)
	out = append(out, successorScenarios()...)
	return append(out, otherScenarios()...)
}

func listScenarios() (out []scenario) {
	good := func(name, comment string, l *SignedList) {
		out = append(out, scenario{Name: "list-" + name, Comment: comment, Entry: "list", Outcome: "ok",
			Bytes: hex.EncodeToString(l.Bytes()), Hash: l.Hash().String(), ListVersion: l.List.Version})
	}
	bad := func(name, outcome, comment string, b []byte) {
		out = append(out, scenario{Name: "list-" + name, Comment: comment, Entry: "list", Outcome: outcome, Bytes: hex.EncodeToString(b)})
	}
	k := aliceKey(0)
	first := must(SignList(firstList(1), k))
	three := must(SignList(firstList(3), k))
	h := newHistory()
	second := h.add(2)
	rotation := h.rotate()
	good("first", "the first list of an account: one device, no list before", first)
	good("second", "version 2 names the hash of version 1", second)
	good("ten-devices", "as many devices as there may be", must(SignList(firstList(MaxDevices), k)))
	book := firstList(2)
	book.BookVersion, book.BookHash = 7, [32]byte(seedOf("book"))
	book.Devices[0].Class, book.Devices[0].How = Web, Approved
	book.Devices[1].Class, book.Devices[1].How = Service, ByRecovery
	good("book-head", "a list with a book head, and the other classes and ways in", must(SignList(book, k)))
	good("rotation", "handed over to the committed next key; both keys sign", rotation)
	full := newHistory()
	for n := 2; n <= MaxDevices; n++ {
		full.add(n)
	}
	good("largest", "a rotation with ten devices: the longest signed list", full.rotate())

	body := func(l *SignedList) []byte {
		if l.Rotation() {
			return l.Bytes()[:len(l.Bytes())-128]
		}
		return l.Bytes()[:len(l.Bytes())-64]
	}
	one, two, many, rot := body(first), body(second), body(three), body(rotation)
	re := func(b []byte) []byte { return resign(b, k) }
	rerot := func(b []byte) []byte {
		sig, succession := aliceKey(1).Sign(nameList, b), k.Sign(nameSuccession, b)
		return bytes.Join([][]byte{b, sig[:], succession[:]}, nil)
	}
	entry := func(n int) []byte { return many[atDevice+n*deviceSize : atDevice+(n+1)*deviceSize] }

	bad("empty", "malformed", "no bytes at all", nil)
	bad("record-version-0", "malformed", "no record has version 0", re(patch(one, 0, 0, 0)))
	bad("record-version-2", "newer version", "a version that this specification does not know", re(patch(one, 0, 0, 2)))
	bad("account-zero", "malformed", "the zero id names no account", re(patch(one, 3, make([]byte, 16)...)))
	bad("device-id-zero", "malformed", "the zero id names no device", re(patch(one, atDevice, make([]byte, 16)...)))
	bad("form-0", "malformed", "unknown form", re(patch(one, atForm, 0)))
	bad("form-3", "malformed", "unknown form", re(patch(one, atForm, 3)))
	bad("truncated", "malformed", "the last byte is missing", first.Bytes()[:len(first.Bytes())-1])
	bad("trailing", "malformed", "one byte after the signature", append(bytes.Clone(first.Bytes()), 0))
	bad("trailing-signature", "malformed", "a second signature on a plain list", append(bytes.Clone(first.Bytes()), first.Bytes()[len(one):]...))
	bad("version-0", "malformed", "list versions begin at 1", re(patch(one, atVersion, make([]byte, 8)...)))
	bad("first-with-previous", "malformed", "version 1 has no list before it", re(patch(one, atPrev, 1)))
	bad("second-without-previous", "malformed", "version 2 must name the list before it", re(patch(two, atPrev, make([]byte, 32)...)))
	bad("issued-too-late", "malformed", "issued in the year 10000", re(patch(one, atIssued, year10000[:]...)))
	bad("book-hash-without-version", "malformed", "book version 0 has a zero hash", re(patch(one, atBookVersion+8, 1)))
	bad("book-version-without-hash", "malformed", "a book version has a hash", re(patch(one, atBookVersion+7, 1)))
	self := k.Public().Next()
	bad("next-is-self", "malformed", "the key commits to itself", re(patch(one, atNext, self[:]...)))
	bad("no-devices", "malformed", "an account has at least one device", re(append(bytes.Clone(one[:atDevices]), 0, 0)))
	bad("half-device", "malformed", "the vector ends inside a device", re(append(append(bytes.Clone(one[:atDevices]), 0, deviceSize-1), one[atDevice:len(one)-1]...)))
	eleven := append(bytes.Clone(one[:atDevices]), 638>>8, 638&0xff) // 11 * 58
	for n := 1; n <= MaxDevices+1; n++ {
		l := firstList(1)
		l.Devices[0] = device(n)
		eleven = append(eleven, must(encodeList(l, nil))[atDevice:]...)
	}
	bad("eleven-devices", "malformed", "one device more than there may be", re(eleven))
	swapped := append(append(append(bytes.Clone(many[:atDevice]), entry(1)...), entry(0)...), entry(2)...)
	bad("devices-unsorted", "malformed", "devices ascend by id", re(swapped))
	bad("device-id-twice", "malformed", "two devices with one id", re(patch(many, atDevice+deviceSize, entry(0)[:16]...)))
	bad("device-key-twice", "malformed", "two devices with one key", re(patch(many, atDevice+deviceSize+16, entry(0)[16:48]...)))
	ak := k.Public()
	bad("device-key-is-account-key", "malformed", "one key in two roles", re(patch(one, atDevice+16, ak[:]...)))
	bad("device-added-too-late", "malformed", "added in the year 10000", re(patch(one, atDevice+48, year10000[:]...)))
	for _, n := range []byte{0, 4} {
		bad(fmt.Sprintf("class-%d", n), "malformed", "unknown class", re(patch(one, atDevice+56, n)))
		bad(fmt.Sprintf("how-%d", n), "malformed", "unknown way in", re(patch(one, atDevice+57, n)))
	}

	// Everything below has the right form, and keys or signatures that fail.
	sig := universalSignature()
	bad("account-key-small-order", "unusable key", "under the neutral element one signature verifies for every list", append(patch(one, atKey, identityPoint[:]...), sig[:]...))
	bad("device-key-small-order", "unusable key", "a device key that anybody can sign for", re(patch(one, atDevice+16, identityPoint[:]...)))
	alias := bytes.Repeat([]byte{0xff}, 32)
	alias[0], alias[31] = 0xed+3, 0x7f
	bad("device-key-not-canonical", "unusable key", "y = p + 3: another encoding of a point that is not of small order", re(patch(one, atDevice+16, alias...)))
	bad("device-key-no-point", "unusable key", "y = 2 is on no point", re(patch(one, atDevice+16, append([]byte{2}, make([]byte, 31)...)...)))
	bad("altered", "signature", "one bit of the body is flipped", patch(first.Bytes(), atIssued+7, first.Bytes()[atIssued+7]^1))
	bad("signature-altered", "signature", "one bit of the signature is flipped", patch(first.Bytes(), len(one), first.Bytes()[len(one)]^1))
	high := plusL(Signature(first.Bytes()[len(one):]))
	bad("signature-s-too-high", "signature", "S is raised by the group order", append(bytes.Clone(one), high[:]...))
	bad("signed-by-another-key", "signature", "signed by the next key, not by the key in the list", resign(one, aliceKey(1)))
	wrong := k.Sign(nameCertificate, one)
	bad("signed-under-another-name", "signature", "signed as an epoch certificate", append(bytes.Clone(one), wrong[:]...))

	bad("rotation-at-version-1", "malformed", "the first list follows no key", rerot(patch(patch(rot, atVersion+7, 1), atPrev, make([]byte, 32)...)))
	old := k.Public()
	newKey := aliceKey(1).Public()
	bad("rotation-device-key-is-old-account-key", "malformed", "one key in two roles", rerot(patch(rot, atDevice+16, old[:]...)))
	bad("rotation-to-the-same-key", "malformed", "a key cannot succeed itself", rerot(patch(rot, len(rot)-32, newKey[:]...)))
	back := old.Next()
	bad("rotation-commits-to-the-old-key", "malformed", "the key that is left cannot come back", rerot(patch(rot, atNext, back[:]...)))
	bad("rotation-without-succession", "malformed", "only the new key signed", rotation.Bytes()[:len(rot)+64])
	stripped := patch(rot[:len(rot)-32], atForm, formPlain)
	bad("rotation-stripped", "signature", "a rotation made to look like a reset", append(stripped, rotation.Bytes()[len(rot):len(rot)+64]...))
	bad("rotation-succession-altered", "signature", "the old key's signature fails", patch(rotation.Bytes(), len(rot)+64, rotation.Bytes()[len(rot)+64]^1))
	bad("rotation-signatures-swapped", "signature", "old and new signature in each other's place",
		bytes.Join([][]byte{rot, rotation.Bytes()[len(rot)+64:], rotation.Bytes()[len(rot) : len(rot)+64]}, nil))
	asList := k.Sign(nameList, rot)
	bad("rotation-succession-under-list-name", "signature", "the old key signed a list, not a succession",
		bytes.Join([][]byte{rotation.Bytes()[:len(rot)+64], asList[:]}, nil))
	return out
}

func certificateScenarios() (out []scenario) {
	list := must(SignList(firstList(2), aliceKey(0)))
	add := func(name, outcome, comment string, l *SignedList, b []byte) {
		s := scenario{Name: "certificate-" + name, Comment: comment, Entry: "certificate", Outcome: outcome,
			List: hex.EncodeToString(l.Bytes()), Bytes: hex.EncodeToString(b)}
		if outcome == "ok" {
			s.Hash = must(ParseCertificate(b)).Hash().String()
		}
		out = append(out, s)
	}
	good := signedCertificate(1, 1)
	b := good.Bytes()
	body := b[:certificateBody]
	re := func(b []byte) []byte {
		sig := deviceKey("1").Sign(nameCertificate, b[:certificateBody])
		return append(bytes.Clone(b[:certificateBody]), sig[:]...)
	}
	add("first", "ok", "a device's first epoch", list, b)
	add("later", "ok", "a later epoch of another device", list, signedCertificate(2, 40).Bytes())
	add("empty", "malformed", "no bytes at all", list, nil)
	add("record-version-0", "malformed", "no record has version 0", list, re(patch(b, 0, 0, 0)))
	add("record-version-2", "newer version", "a version that this specification does not know", list, re(patch(b, 0, 0, 2)))
	add("truncated", "malformed", "the last byte is missing", list, b[:len(b)-1])
	add("trailing", "malformed", "one byte after the signature", list, append(bytes.Clone(b), 0))
	add("account-zero", "malformed", "the zero id names no account", list, re(patch(b, 2, make([]byte, 16)...)))
	add("device-zero", "malformed", "the zero id names no device", list, re(patch(b, 18, make([]byte, 16)...)))
	add("epoch-0", "malformed", "epochs begin at 1", list, re(patch(b, 34, make([]byte, 8)...)))
	add("highest-version-0", "malformed", "a device reads version 1 at the least", list, re(patch(b, 1290, 0, 0)))
	add("life-too-long", "malformed", "one millisecond more than 90 days", list, re(patch(b, 1307, b[1307]+1)))
	add("life-backwards", "malformed", "ends before it begins", list, re(patch(b, 1300, make([]byte, 8)...)))
	add("too-late", "malformed", "begins before the year 10000 and ends in it", list, re(patch(patch(b, 1292, untilYear10000[:]...), 1300, year10000[:]...)))
	add("altered", "signature", "one bit of the body is flipped", list, patch(b, 41, b[41]^2))
	add("signature-altered", "signature", "one bit of the signature is flipped", list, patch(b, certificateBody, b[certificateBody]^1))
	high := plusL(Signature(b[certificateBody:]))
	add("signature-s-too-high", "signature", "S is raised by the group order", list, append(bytes.Clone(body), high[:]...))
	other := deviceKey("2").Sign(nameCertificate, body)
	add("signed-by-another-device", "signature", "another device of the account signed it", list, append(bytes.Clone(body), other[:]...))
	wrong := deviceKey("1").Sign(nameList, body)
	add("signed-under-another-name", "signature", "signed as a device list", list, append(bytes.Clone(body), wrong[:]...))
	add("device-not-in-list", "signature", "the device is not, or no longer, in the list", list, signedCertificate(3, 1).Bytes())
	stranger := FirstList(account("bob"), accountKey("bob").Public(), accountKey("bob next").Public().Next(), device(1), start)
	add("other-account", "other account", "the account that signed the list is another", must(SignList(stranger, accountKey("bob"))), b)
	add("kem-not-reduced", "unusable key", "a coefficient of the ML-KEM key is not below 3329", list, re(patch(b, 42, 0xff, 0xff, 0xff)))
	add("kem-x25519-low-order", "unusable key", "the X25519 half of the epoch key is zero", list, re(patch(b, 1258-32, make([]byte, 32)...)))
	alias := bytes.Repeat([]byte{0xff}, 32)
	alias[0], alias[31] = 0xed+9, 0x7f
	add("kem-x25519-not-canonical", "unusable key", "p + 9: another encoding of the base point in the X25519 half", list, re(patch(b, 1258-32, alias...)))
	for i, u := range lowOrderX25519 {
		add(fmt.Sprintf("auth-low-order-%d", i), "unusable key", "an X25519 key of low order", list, re(patch(b, 1258, u[:]...)))
	}
	xa := bytes.Clone(b[1258:1290])
	add("auth-high-bit", "unusable key", "the highest bit of the X25519 key is set: not canonical", list, re(patch(b, 1289, xa[31]|0x80)))
	add("auth-not-canonical", "unusable key", "p + 9: another encoding of the base point", list, re(patch(b, 1258, alias...)))
	return out
}

// lowOrderX25519 are the canonical u-coordinates of low order on the curve and
// its twist (RFC 7748, section 7; 0, 1, p-1 and the two of order 8).
var lowOrderX25519 = [][32]byte{
	{},
	{1},
	must32("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	must32("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
	must32("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
}

func must32(s string) [32]byte { return [32]byte(must(hex.DecodeString(s))) }
