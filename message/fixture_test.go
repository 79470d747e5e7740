package message

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/reseal/reseal/identity"
)

// fill32 makes the bytes of a fixture: different for each name, always the same.
func fill32(name string) [32]byte { return sha256.Sum256([]byte("fixture " + name)) }

func fill16(name string) [16]byte {
	h := fill32(name)
	return [16]byte(h[:16])
}

const (
	fixtureCreated = identity.Time(1_790_000_000_000)
	fixtureDays    = 7
)

func fixtureHeader(p Policy) Header {
	h := Header{
		Kind:         KindContent,
		Sender:       fill16("sender"),
		Recipient:    fill16("recipient"),
		SenderDevice: fill16("sender device"),
		Created:      fixtureCreated,
		Expires:      fixtureCreated.Add(fixtureDays * 24 * time.Hour),
		Policy:       p,
		Suite:        Cobblestone256,
		Length:       1000,
		Digest:       fill32("digest"),
	}
	h.ID = NewID(h.Created.Day(), h.Sender, h.Recipient, fill16("client id"), h.Digest)
	return h
}

func blobHeader() Header {
	h := fixtureHeader(Keep)
	h.Blob, h.Length = fill32("blob"), 5_000_000
	return h
}

func fixtureContext(to identity.AccountID, device string, list ListHead) WrapContext {
	return WrapContext{
		From: WrapFrom{
			Account: fill16("sender"), Key: fill32("sender AK"), Device: fill16("sender device"), DeviceKey: fill32("sender DSK"),
			Auth: fill32("sender XA"), Epoch: 3, Cert: fill32("sender cert"),
			ListVersion: senderHead.Version, ListHash: senderHead.Hash, At: fixtureCreated.Add(time.Second),
		},
		To: WrapTo{
			Account: to, Key: fill32("AK of " + device), Device: fill16(device), DeviceKey: fill32("DSK of " + device),
			Epoch: 9, Cert: fill32("cert of " + device), ListVersion: list.Version, ListHash: list.Hash,
		},
	}
}

var (
	senderHead    = ListHead{Version: 5, Hash: fill32("sender list")}
	recipientHead = ListHead{Version: 2, Hash: fill32("recipient list")}
)

func fixtureWrap(to identity.AccountID, device string, list ListHead) *Wrap {
	w := &Wrap{Context: fixtureContext(to, device, list)}
	for i := range w.Enc {
		w.Enc[i] = byte(i)
	}
	for i := range w.Box {
		w.Box[i] = byte(255 - i)
	}
	return w
}

func fixtureSend() *Send {
	h := fixtureHeader(Once)
	inline := make([]byte, h.Length)
	for i := range inline {
		inline[i] = byte(i * 7)
	}
	s := &Send{
		Header: h, ClientID: fill16("client id"), Inline: inline, Segments: []byte("one segment"),
		Wraps: []*Wrap{
			fixtureWrap(h.Recipient, "phone", recipientHead), fixtureWrap(h.Recipient, "tablet", recipientHead),
		},
		Copies: []*Wrap{fixtureWrap(h.Sender, "laptop", senderHead)},
		Sender: senderHead, Recipient: recipientHead,
	}
	sortWraps(s.Wraps)
	return s
}

func sortWraps(ws []*Wrap) {
	slices.SortFunc(ws, func(a, b *Wrap) int {
		return bytes.Compare(a.Context.To.Device[:], b.Context.To.Device[:])
	})
}

func blobSend() *Send {
	s := fixtureSend()
	s.Header = blobHeader()
	s.Inline, s.Segments, s.Capability = nil, nil, fill32("capability")
	return s
}

func selfSend() *Send {
	s := fixtureSend()
	s.Header.Recipient = s.Header.Sender
	s.Header.ID = NewID(s.Header.ID.Day(), s.Header.Sender, s.Header.Sender, s.ClientID, s.Header.Digest)
	s.Wraps, s.Copies = s.Copies, nil
	s.Recipient = s.Sender
	return s
}

func fixtureReceipt(what What) Receipt {
	rc := Receipt{
		Message: fixtureHeader(Once).ID, Account: fill16("recipient"), Device: fill16("phone"), What: what,
		Time: fixtureCreated.Add(time.Hour), Sender: senderHead, Recipient: recipientHead,
	}
	if what == Unsent {
		rc.Account, rc.Device = fill16("sender"), fill16("sender device")
	}
	return rc
}

func fixtureR() R { return fill32("R") }

func fixtureEnd(s State) EndRecord {
	e := EndRecord{Sender: fill16("sender"), Message: fixtureHeader(Once).ID, State: s, Time: fixtureCreated.Add(2 * time.Hour)}
	switch s {
	case StateViewed:
		e.Receipt = fixtureReceipt(Viewed).Seal(fixtureR())
	case StateUnsent:
		e.Receipt = fixtureReceipt(Unsent).Seal(fixtureR())
	case StateExpired:
		e.Time = fixtureHeader(Once).Expires
	}
	return e
}
