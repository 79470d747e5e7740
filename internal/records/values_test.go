package records

import (
	"bytes"
	"testing"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// codecs are all values, each with a filled example.
var codecs = map[string]struct {
	value []byte
	again func([]byte) ([]byte, error)
}{
	"pw": {
		Password{Credential: 3, Opaque: make([]byte, 192), Capsule: []byte("capsule"), Copy: []byte("copy"), Recovery: [32]byte{9}, Root: []byte("root"), Handle: "ana"}.Encode(),
		func(b []byte) ([]byte, error) { p, err := ParsePassword(b); return p.Encode(), err },
	},
	"share one": {
		Shares{Device: identity.DeviceID{1}, Opened: Share{[16]byte{2}, []byte("sealed")}}.Encode(),
		func(b []byte) ([]byte, error) { p, err := ParseShares(b); return p.Encode(), err },
	},
	"share two": {
		Shares{Opened: Share{[16]byte{2}, []byte("a")}, New: &Share{[16]byte{3}, []byte("b")}}.Encode(),
		func(b []byte) ([]byte, error) { p, err := ParseShares(b); return p.Encode(), err },
	},
	"book": {
		BookHead{7, 3, [16]byte{1}}.Encode(),
		func(b []byte) ([]byte, error) { p, err := ParseBookHead(b); return p.Encode(), err },
	},
	"session": {
		Session{Device: identity.DeviceID{1}, Row: [32]byte{2}, Credential: 4, Share: [32]byte{5}, Created: 6, Seen: 7}.Encode(),
		func(b []byte) ([]byte, error) { p, err := ParseSession(b); return p.Encode(), err },
	},
	"account": {
		EncodeAccount(identity.AccountID{1, 2}),
		func(b []byte) ([]byte, error) { p, err := ParseAccount(b); return EncodeAccount(p), err },
	},
	"block": {
		EncodeBlock(true),
		func(b []byte) ([]byte, error) { p, err := ParseBlock(b); return EncodeBlock(p), err },
	},
	"acquainted": {
		EncodeAcquainted(),
		func(b []byte) ([]byte, error) { _, err := ParseAcquainted(b); return EncodeAcquainted(), err },
	},
	"strangers": {
		Strangers{Day: 20000, Whom: []PairHash{{1}, {2}}}.Encode(),
		func(b []byte) ([]byte, error) { p, err := ParseStrangers(b); return p.Encode(), err },
	},
	"epoch": {
		EncodeEpoch(7),
		func(b []byte) ([]byte, error) { p, err := ParseEpoch(b); return EncodeEpoch(p), err },
	},
	"invite": {
		Invite{End: 9}.Encode(),
		func(b []byte) ([]byte, error) { i, err := ParseInvite(b); return i.Encode(), err },
	},
	"invite used": {
		Invite{End: 9, Used: true, Account: identity.AccountID{1}}.Encode(),
		func(b []byte) ([]byte, error) { i, err := ParseInvite(b); return i.Encode(), err },
	},
	"server key": {
		EncodeServerKey([32]byte{8}),
		func(b []byte) ([]byte, error) { p, err := ParseServerKey(b); return EncodeServerKey(p), err },
	},
	"message": {
		Message{[]byte("header"), []byte("inline"), []byte("segments"), [][]byte{[]byte("w1"), []byte("w2")}}.Encode(),
		func(b []byte) ([]byte, error) { p, err := ParseMessage(b); return p.Encode(), err },
	},
	"claim": {
		Claim{identity.DeviceID{1}, 99}.Encode(),
		func(b []byte) ([]byte, error) { p, err := ParseClaim(b); return p.Encode(), err },
	},
	"notice": {
		Notice{What: 2, At: 3, Due: 4, Device: identity.DeviceID{5}}.Encode(),
		func(b []byte) ([]byte, error) { n, err := ParseNotice(b); return n.Encode(), err },
	},
	"reset": {
		Reset{Device: identity.DeviceID{1}, Credential: 2, Asked: 3, Due: 4}.Encode(),
		func(b []byte) ([]byte, error) { r, err := ParseReset(b); return r.Encode(), err },
	},
	"entry": {
		Entry{EntryReceipt, message.ID{1}, []byte("extra")}.Encode(),
		func(b []byte) ([]byte, error) { p, err := ParseEntry(b); return p.Encode(), err },
	},
}

func TestValuesAreStrict(t *testing.T) {
	for name, c := range codecs {
		t.Run(name, func(t *testing.T) {
			if b, err := c.again(c.value); err != nil || !bytes.Equal(b, c.value) {
				t.Fatalf("round trip: %x, %v", b, err)
			}
			if _, err := c.again(append(bytes.Clone(c.value), 0)); err == nil {
				t.Error("trailing byte accepted")
			}
			for n := range len(c.value) {
				if _, err := c.again(c.value[:n]); err == nil {
					t.Errorf("cut to %d bytes accepted", n)
				}
			}
			newer := bytes.Clone(c.value)
			newer[0]++
			if _, err := c.again(newer); err == nil {
				t.Error("newer version accepted")
			}
		})
	}
}

func FuzzValues(f *testing.F) {
	for _, c := range codecs {
		f.Add(c.value)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, c := range codecs {
			if again, err := c.again(b); err == nil && !bytes.Equal(again, b) {
				t.Errorf("%s: %x parses and encodes to %x", name, b, again)
			}
		}
	})
}

func TestSchemaIsSound(t *testing.T) {
	if err := Schema.Check(); err != nil {
		t.Fatal(err)
	}
}
