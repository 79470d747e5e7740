package message

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal/identity"
)

func TestSizes(t *testing.T) {
	for name, s := range map[string][2]int{
		"header": {206, HeaderSize}, "context": {415, ContextSize}, "wrap": {1647, WrapSize}, "receipt": {187, ReceiptSize},
		"encoded header":  {HeaderSize, len(fixtureHeader(Once).Encode())},
		"encoded context": {ContextSize, len(fixtureContext(fill16("recipient"), "phone", recipientHead).Encode())},
		"encoded wrap":    {WrapSize, len(fixtureWrap(fill16("recipient"), "phone", recipientHead).Encode())},
		"encoded receipt": {ReceiptSize, len(fixtureReceipt(Viewed).Seal(fixtureR()))},
		"expired record":  {61, len(fixtureEnd(StateExpired).Encode())},
		"viewed record":   {248, len(fixtureEnd(StateViewed).Encode())},
	} {
		if s[0] != s[1] {
			t.Errorf("%s: %d bytes, want %d", name, s[1], s[0])
		}
	}
}

// The store takes 64 KiB a value: the row of a message with an inline body and
// wraps for every device must fit, and so must the whole stored send.
func TestLargestSendFitsOneValue(t *testing.T) {
	s := fixtureSend()
	s.Header.Length = MaxInline
	s.Inline, s.Segments = make([]byte, MaxInline), make([]byte, MaxInlineSegments)
	s.Wraps, s.Copies = nil, nil
	for i := range MaxWraps {
		s.Wraps = append(s.Wraps, fixtureWrap(s.Header.Recipient, fmt.Sprint("r", i), recipientHead))
		if i > 0 {
			s.Copies = append(s.Copies, fixtureWrap(s.Header.Sender, fmt.Sprint("s", i), senderHead))
		}
	}
	sortWraps(s.Wraps)
	sortWraps(s.Copies)
	b := s.Encode()
	if len(b) != MaxSendSize || len(b) > 64<<10 {
		t.Fatalf("%d bytes; limit %d", len(b), MaxSendSize)
	}
	if _, err := ParseSend(b); err != nil {
		t.Fatal(err)
	}
}

// Every byte of a header means something: no two headers share an encoding.
func TestHeaderHasNoSlack(t *testing.T) {
	good := blobHeader().WithRewrapper(fill16("recipient"), fill16("tablet"))
	b := good.Encode()
	for i := range b {
		h, err := ParseHeader(patched(b, i, b[i]^1))
		if err == nil && h == good {
			t.Errorf("byte %d altered, same header", i)
		}
	}
}

func TestIDCoversEveryInput(t *testing.T) {
	h := fixtureHeader(Once)
	base := NewID(1, h.Sender, h.Recipient, fill16("c"), h.Digest)
	for name, id := range map[string]ID{
		"day":     NewID(2, h.Sender, h.Recipient, fill16("c"), h.Digest),
		"swapped": NewID(1, h.Recipient, h.Sender, fill16("c"), h.Digest),
		"client":  NewID(1, h.Sender, h.Recipient, fill16("d"), h.Digest),
		"digest":  NewID(1, h.Sender, h.Recipient, fill16("c"), fill32("other")),
	} {
		if bytes.Equal(id[4:], base[4:]) {
			t.Errorf("%s does not change the hash", name)
		}
	}
	for _, s := range []string{"", "00", strings.ToUpper(h.ID.String()), h.ID.String() + "00", strings.Repeat("g", 64)} {
		if _, err := ParseID(s); !errors.Is(err, ErrID) {
			t.Errorf("ParseID(%q): %v", s, err)
		}
	}
	if id, err := ParseID(h.ID.String()); err != nil || id != h.ID || id.Day() != h.Created.Day() {
		t.Error("id does not survive its text form", err)
	}
	if _, err := IDFromBytes(h.ID[1:]); !errors.Is(err, ErrID) {
		t.Error("short id taken")
	}
}

func TestCheckNew(t *testing.T) {
	h := fixtureHeader(Once)
	midnight := identity.Time(uint64(h.Created.Day()+2) * 86_400_000)
	for _, c := range []struct {
		name string
		now  identity.Time
		want error
	}{
		{"now", h.Created, nil},
		{"an hour ahead", h.Created.Add(-MaxSkew), nil},
		{"more than an hour ahead", h.Created.Add(-MaxSkew) - 1, ErrClock},
		{"late on the next day", midnight - 1, nil},
		{"two days on", midnight, ErrClock},
	} {
		if err := h.CheckNew(c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	h.Expires = h.Created + 1
	if err := h.CheckNew(h.Expires); !errors.Is(err, ErrExpired) {
		t.Error("expired message taken:", err)
	}
	if err := h.CheckNew(midnight); !errors.Is(err, ErrExpired) {
		t.Error("a message that is old and over may have been stored before, and would be sent twice:", err)
	}
	s := fixtureSend()
	if err := s.Check(h.Created.Add(96 * time.Hour)); !errors.Is(err, ErrClock) {
		t.Error("old send taken:", err)
	}
}

func TestRoleAndRewrapper(t *testing.T) {
	h := fixtureHeader(Once)
	for account, want := range map[identity.AccountID]Role{h.Recipient: Inbox, h.Sender: HolderCopy} {
		if role, err := h.RoleOf(account); err != nil || role != want {
			t.Error(role, err)
		}
	}
	if _, err := h.RoleOf(fill16("stranger")); !errors.Is(err, ErrParty) {
		t.Error("a stranger has a role:", err)
	}
	self := h
	self.Recipient = self.Sender
	if role, err := self.RoleOf(h.Sender); err != nil || role != Inbox {
		t.Error("a message to oneself is not in the inbox:", role, err)
	}
	if h.WithRewrapper(h.Sender, h.SenderDevice) != h {
		t.Error("the sending device is named as rewrapper")
	}
	held := h.WithRewrapper(h.Recipient, fill16("tablet"))
	if !held.Rewrapped() || held.Validate() != nil || held.WithRewrapper(h.Sender, h.SenderDevice) != h {
		t.Error("rewrapper is not set and unset cleanly")
	}
}

func TestContextFits(t *testing.T) {
	h := fixtureHeader(Once)
	good := fixtureContext(h.Recipient, "phone", recipientHead)
	if err := good.Fits(h); err != nil {
		t.Fatal(err)
	}
	for name, alter := range map[string]func(*WrapContext, *Header){
		"from a stranger":       func(c *WrapContext, _ *Header) { c.From.Account = fill16("stranger") },
		"to a stranger":         func(c *WrapContext, _ *Header) { c.To.Account = fill16("stranger") },
		"to the sending device": func(c *WrapContext, h *Header) { c.To.Account, c.To.Device = h.Sender, h.SenderDevice },
		"another rewrapper":     func(_ *WrapContext, h *Header) { *h = h.WithRewrapper(h.Recipient, fill16("tablet")) },
	} {
		c, header := good, h
		alter(&c, &header)
		if err := c.Fits(header); !errors.Is(err, ErrParty) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A receipt of one message is worth nothing for another, even between the same
// two accounts, and every byte of it is under the MAC.
func TestReceiptReplayAndAlteration(t *testing.T) {
	first, r := fixtureHeader(Once), fixtureR()
	second := first
	second.ID[31] ^= 1
	b := fixtureReceipt(Viewed).Seal(r)
	if _, err := VerifyReceipt(b, fill32("R of the second"), second); !errors.Is(err, ErrReceipt) {
		t.Error("replayed to another message:", err)
	}
	if _, err := VerifyReceipt(b, r, second); !errors.Is(err, ErrReceipt) {
		t.Error("replayed under the same R:", err)
	}
	for i := range b {
		if _, err := VerifyReceipt(patched(b, i, b[i]^1), r, first); err == nil {
			t.Errorf("byte %d altered and accepted", i)
		}
	}
}

// Two accounts got the same content, so both know its key and digest. One of
// them, with the server's help, reports the other's view: it has its own R only.
func TestForgedReceiptByCoRecipient(t *testing.T) {
	victim, attackerR := fixtureHeader(Once), R(fill32("R of the co-recipient"))
	forged := fixtureReceipt(Viewed).Seal(attackerR)
	if _, err := ParseReceipt(forged); err != nil {
		t.Fatal("the forgery must reach the MAC check:", err)
	}
	if _, err := VerifyReceipt(forged, fixtureR(), victim); !errors.Is(err, ErrReceipt) {
		t.Fatal("forged receipt accepted:", err)
	}
	e := fixtureEnd(StateViewed)
	e.Receipt = forged
	if err := e.Verify(victim, fixtureR(), victim.Created); !errors.Is(err, ErrReceipt) {
		t.Fatal("forged end accepted:", err)
	}
}

func TestEndVerify(t *testing.T) {
	h, r := fixtureHeader(Once), fixtureR()
	for _, s := range []State{StateViewed, StateUnsent} {
		if err := fixtureEnd(s).Verify(h, r, h.Created); err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
	expired := fixtureEnd(StateExpired)
	if err := expired.Verify(h, r, h.Expires-1); !errors.Is(err, ErrReceipt) {
		t.Error("the server's word ended a message early:", err)
	}
	if err := expired.Verify(h, r, h.Expires); err != nil {
		t.Error(err)
	}
	other := h
	other.ID[31] ^= 1
	if err := fixtureEnd(StateViewed).Verify(other, r, h.Created); !errors.Is(err, ErrParty) {
		t.Error("end of another message:", err)
	}
	swapped := fixtureEnd(StateViewed)
	swapped.State = StateUnsent
	if err := swapped.Verify(h, r, h.Created); !errors.Is(err, ErrReceipt) {
		t.Error("state differs from the receipt:", err)
	}
	if KeepEndUntil(h.Expires).Sub(h.Expires) != EndKept || h.ID.LastKept() < KeepEndUntil(h.Expires) {
		t.Error("end record forgotten too early")
	}
}

// Whatever order ends arrive in, every device keeps the same one.
func TestPreferEndIsOrderFree(t *testing.T) {
	var all []EndRecord
	for s := StateViewed; s <= StateUnsent; s++ {
		for d := range identity.Time(3) {
			e := fixtureEnd(s)
			e.Time += d
			all = append(all, e)
		}
	}
	later := fixtureEnd(StateViewed)
	later.Receipt = fixtureReceipt(Viewed).Seal(fill32("another R"))
	all = append(all, later)
	fold := func(es []EndRecord) []byte {
		best := es[0]
		for _, e := range es[1:] {
			best = PreferEnd(best, e)
		}
		return best.Encode()
	}
	want := fold(all)
	if all0, _ := ParseEndRecord(want); all0.State != StateViewed || all0.Time != fixtureEnd(StateViewed).Time {
		t.Fatal("the earliest view does not win")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if !bytes.Equal(fold(all), want) {
			t.Fatal("another order, another end")
		}
	}
}

func TestSecretsHide(t *testing.T) {
	r, c := fixtureR(), Capability(fill32("capability"))
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "r", r, "c", c)
	text := fmt.Sprintf("%v %s %x %+v %#v %d %q", r, r, r, r, r, r, r) + fmt.Sprintf("%v %s %x %#v", c, c, c, c) +
		fmt.Sprintf("%v %+v %#v", struct{ R R }{r}, Send{Capability: c}, &struct{ C Capability }{c}) + log.String()
	asJSON, err := json.Marshal(Send{Capability: c})
	if err != nil {
		t.Fatal(err)
	}
	text += string(asJSON)
	for _, secret := range [][]byte{r[:], c[:]} {
		for _, leak := range []string{hex.EncodeToString(secret[:4]), strings.ToUpper(hex.EncodeToString(secret[:4])),
			fmt.Sprintf("%d %d", secret[0], secret[1]), fmt.Sprintf("%#x, %#x", secret[0], secret[1]), string(secret[:4])} {
			if strings.Contains(text, leak) {
				t.Errorf("secret printed as %q", leak)
			}
		}
	}
}

func FuzzHeader(f *testing.F)  { fuzz(f, "header") }
func FuzzWrap(f *testing.F)    { fuzz(f, "wrap") }
func FuzzSend(f *testing.F)    { fuzz(f, "send") }
func FuzzEnd(f *testing.F)     { fuzz(f, "end") }
func FuzzReceipt(f *testing.F) { fuzz(f, "receipt") }

func FuzzID(f *testing.F) {
	f.Add(fixtureHeader(Once).ID.String())
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil && id.String() != s {
			t.Fatal("an id has two text forms")
		}
	})
}

// fuzz checks that a parser never panics, fails with a named error only, and
// that what it takes has no other encoding.
func fuzz(f *testing.F, format string) {
	files, err := filepath.Glob(vectorDir + "/" + format + "*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		var v vector
		if b, err := os.ReadFile(file); err != nil || json.Unmarshal(b, &v) != nil {
			f.Fatal(file, err)
		}
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			f.Fatal(file, err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := parse(format, b)
		switch {
		case err == nil && !bytes.Equal(again, b):
			t.Fatal("two encodings of one record")
		case err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrParty):
			t.Fatal("unnamed error", err)
		}
	})
}
