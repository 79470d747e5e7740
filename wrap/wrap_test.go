package wrap

import (
	"errors"
	"testing"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

func TestSealThenOpen(t *testing.T) {
	phone, bob, tablet, laptop := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone"), newDevice(t, "bob", "tablet"), newDevice(t, "alice", "laptop")
	s := newSecret()
	h := newHeader(phone, bob.account, s.Digest)
	for _, c := range []struct {
		name     string
		from, to device
	}{
		{"send", phone, bob},
		{"copy for the sender's other device", phone, laptop},
		{"answer by the recipient's other device", tablet, bob},
		{"answer by the sender's other device", laptop, bob},
		{"answer by the recipient to a holder", bob, laptop},
	} {
		w := mustSeal(t, c.from, c.to, h, s)
		got, err := Open(w, c.to.epoch, c.to.auth, c.from.auth.Public(), h)
		if err != nil || got != s {
			t.Errorf("%s: %v", c.name, err)
		}
		if got, err := Open(w, c.to.epoch, c.to.auth, c.from.auth.Public(), w.Header(h)); err != nil || got != s {
			t.Errorf("%s, rewrapper named: %v", c.name, err)
		}
	}
}

// Each wrap is a fresh encapsulation: two wraps of one secret share nothing.
func TestEncapsulationIsFresh(t *testing.T) {
	from, to, s := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone"), newSecret()
	h := newHeader(from, to.account, s.Digest)
	sealer := NewSealer(from.auth, 0)
	var last message.Wrap
	for range 3 {
		w, err := sealer.Seal(wrapContext(from, to), to.epoch.Public(), to.auth.Public(), h, s)
		if err != nil || w.Enc == last.Enc || w.Box == last.Box {
			t.Fatal("encapsulation reused", err)
		}
		last = w
	}
}

// Everybody who got the content knows its key and, with the server, can store
// another ciphertext under it. The wrap names the sender's.
func TestSubstitutedStream(t *testing.T) {
	alice, bob, mallory := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone"), newDevice(t, "mallory", "phone")
	s := newSecret()
	h := newHeader(alice, bob.account, s.Digest)
	w := mustSeal(t, alice, bob, h, s)

	// The server changes the header to the digest of Mallory's stream.
	forged := h
	forged.Digest = fill32("digest of mallory's stream")
	forged.ID = message.NewID(created.Day(), h.Sender, h.Recipient, fill16("client id"), forged.Digest)
	refused(t, "header with another digest", w, bob, alice.auth.Public(), forged)

	// Mallory knows CEK, not Bob's R and not Alice's XA: she makes a whole wrap
	// in Alice's name with her own XA.
	own := Secret{CEK: s.CEK, R: fill32("mallory's R"), Digest: forged.Digest}
	posing := mallory
	posing.account, posing.id = alice.account, alice.id
	made := mustSeal(t, posing, bob, forged, own)
	refused(t, "mallory's XA against alice's certificate", made, bob, alice.auth.Public(), forged)
	made.Context.From.Auth = alice.auth.Public()
	refused(t, "alice's XA put into the context", made, bob, alice.auth.Public(), forged)
}

func TestMovedWraps(t *testing.T) {
	alice, bob, tablet, carol := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone"), newDevice(t, "bob", "tablet"), newDevice(t, "carol", "phone")
	s := newSecret()
	h := newHeader(alice, bob.account, s.Digest)
	w := mustSeal(t, alice, bob, h, s)

	second := h
	second.ID = message.NewID(created.Day(), h.Sender, h.Recipient, fill16("another client id"), h.Digest)
	refused(t, "to another message of the same content", w, bob, alice.auth.Public(), second)

	refused(t, "to another device of the account", w, tablet, alice.auth.Public(), h)
	moved := w
	moved.Context.To = wrapContext(alice, tablet).To
	refused(t, "to another device, context rewritten", moved, tablet, alice.auth.Public(), h)
	refused(t, "back to the first device, context rewritten", moved, bob, alice.auth.Public(), h)

	toCarol := newHeader(alice, carol.account, s.Digest)
	refused(t, "to another account", w, carol, alice.auth.Public(), toCarol)
	moved.Context.To = wrapContext(alice, carol).To
	refused(t, "to another account, context rewritten", moved, carol, alice.auth.Public(), toCarol)

	next := bob
	seed := fill32("next epoch of bob")
	var err error
	if next.epoch, err = identity.EpochKeyFromSeed(seed[:]); err != nil {
		t.Fatal(err)
	}
	refused(t, "to the next epoch", w, next, alice.auth.Public(), h)

	asHolder := w
	asHolder.Context.From = wrapContext(tablet, bob).From
	refused(t, "in a holder's name", asHolder, bob, tablet.auth.Public(), h)
}

func refused(t *testing.T, what string, w message.Wrap, to device, from identity.EpochAuthPublic, h message.Header) {
	t.Helper()
	sealer := NewSealer(to.auth, 1)
	for range 2 { // the second time from the remembered z
		if got, err := sealer.Open(w, to.epoch, from, h); err != ErrOpen || got != (Secret{}) {
			t.Errorf("%s: Sealer.Open: %v", what, err)
		}
	}
	if got, err := Open(w, to.epoch, to.auth, from, h); err != ErrOpen || got != (Secret{}) {
		t.Errorf("%s: Open: %v", what, err)
	}
}

func TestSealRefuses(t *testing.T) {
	alice, bob, mallory := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone"), newDevice(t, "mallory", "phone")
	type input struct {
		ctx    message.WrapContext
		to     identity.EpochPublic
		toAuth identity.EpochAuthPublic
		h      message.Header
		s      Secret
	}
	for name, c := range map[string]struct {
		alter func(*input)
		want  error
	}{
		"another digest":            {func(i *input) { i.s.Digest[0] ^= 1 }, ErrContext},
		"another XA":                {func(i *input) { i.ctx.From.Auth = bob.auth.Public() }, ErrContext},
		"bad header":                {func(i *input) { i.h.Length = 0 }, ErrContext},
		"bad context":               {func(i *input) { i.ctx.From.At = 0 }, ErrContext},
		"to a stranger":             {func(i *input) { i.ctx.To.Account = mallory.account }, ErrContext},
		"by a stranger":             {func(i *input) { i.ctx.From.Account = mallory.account }, ErrContext},
		"to the sender device":      {func(i *input) { i.ctx = wrapContext(alice, alice) }, ErrContext},
		"header of other rewrapper": {func(i *input) { i.h = i.h.WithRewrapper(bob.account, mallory.id) }, ErrContext},
		"XA zero":                   {func(i *input) { i.toAuth = identity.EpochAuthPublic{} }, ErrKey},
		"XA of order 1":             {func(i *input) { i.toAuth = identity.EpochAuthPublic{1} }, ErrKey},
		"EK not reduced":            {func(i *input) { i.to[0], i.to[1] = 0xff, 0xff }, ErrKey},
		"EK with X25519 half zero":  {func(i *input) { clear(i.to[len(i.to)-32:]) }, ErrKey},
	} {
		s := newSecret()
		i := input{wrapContext(alice, bob), bob.epoch.Public(), bob.auth.Public(), newHeader(alice, bob.account, s.Digest), s}
		c.alter(&i)
		if _, err := Seal(i.ctx, i.to, i.toAuth, alice.auth, i.h, i.s); !errors.Is(err, c.want) {
			t.Errorf("%s: Seal: %v", name, err)
		}
		if _, err := NewSealer(alice.auth, 0).Seal(i.ctx, i.to, i.toAuth, i.h, i.s); !errors.Is(err, c.want) {
			t.Errorf("%s: Sealer.Seal: %v", name, err)
		}
	}
}

// Both sides must refuse a peer whose X25519 key gives zero, whatever that peer
// put into the wrap.
// A maker that seals under its certified key and names another one in the
// context is refused, although key and context agree for themselves.
func TestOpenComparesTheMakersKey(t *testing.T) {
	alice, bob, s := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone"), newSecret()
	h := newHeader(alice, bob.account, s.Digest)
	ctx := wrapContext(alice, bob)
	ctx.From.Auth = newDevice(t, "mallory", "phone").auth.Public()
	z, err := alice.auth.DH(bob.auth.Public())
	if err != nil {
		t.Fatal(err)
	}
	w, err := sealWith(ctx, bob.epoch.Public(), &z, h, s)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Open(w, bob.epoch, bob.auth, alice.auth.Public(), h); !errors.Is(err, ErrOpen) || got != (Secret{}) {
		t.Fatal(err)
	}
}

func TestOpenRefusesLowOrderAuth(t *testing.T) {
	alice, bob := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone")
	s := newSecret()
	h := newHeader(alice, bob.account, s.Digest)
	for _, low := range []identity.EpochAuthPublic{{}, {1}} {
		ctx := wrapContext(alice, bob)
		ctx.From.Auth = low
		// What a wrapping device without any XA would make: z known to be zero.
		w, err := sealWith(ctx, bob.epoch.Public(), new([32]byte), h, s)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, "low order", w, bob, low, h)
	}
}

// A wrap that authenticates everything and yet carries another digest than its
// header (a broken or malicious sender) is refused too.
func TestOpenComparesDigests(t *testing.T) {
	alice, bob := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone")
	s := newSecret()
	h := newHeader(alice, bob.account, s.Digest)
	s.Digest[0] ^= 1
	z, err := alice.auth.DH(bob.auth.Public())
	if err != nil {
		t.Fatal(err)
	}
	w, err := sealWith(wrapContext(alice, bob), bob.epoch.Public(), &z, h, s)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "another digest inside", w, bob, alice.auth.Public(), h)
}
