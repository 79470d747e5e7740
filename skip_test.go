package reseal_test

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	reseal "github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// What goes on in a full section has room for a whole batch at least.
func TestTheVaultTakesMoreThanTheEngineFills(t *testing.T) {
	if client.MaxIncoming > client.MaxOutgoing || client.MaxOutgoing+vault.MaxBatch > vault.MaxSection {
		t.Fatalf("the engine fills a section up to %d and %d of %d bytes", client.MaxIncoming, client.MaxOutgoing, vault.MaxSection)
	}
}

// A page that is too large for one batch is left at the server, and everything
// goes on.
func TestAPageThatIsTooLargeIsSkipped(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, bob := w.signUp("bob")
	text(t, ana, "hello", "bob")
	text(t, bob, "hello", "ana")
	now := identity.TimeOf(time.Now())
	page := new(resealv1.ReadDayResponse)
	for n := range uint32(540) {
		body := make([]byte, message.MaxInline)
		binary.BigEndian.PutUint32(body, n)
		h := message.Header{
			Kind: message.KindContent, Sender: bob.ID(), Recipient: ana.ID(), SenderDevice: bob.Device(), Created: now,
			Expires: now.Add(time.Hour), Policy: message.Keep, Suite: message.Cobblestone256, Length: message.MaxInline, Digest: sha256.Sum256(body),
		}
		h.ID = message.NewID(now.Day(), bob.ID(), ana.ID(), message.ClientID{}, h.Digest)
		page.Messages = append(page.Messages, &resealv1.Pending{Header: h.Encode(), Inline: body, Segments: []byte("segments")})
	}
	cuts := reseal.CountCuts(ana)
	for _, ev := range []client.Event{client.DayRead{Day: now.Day(), Response: page}, client.Synced{Through: now.Day() + 1}} {
		if err := reseal.Step(ana, ev); err != nil {
			t.Fatal(err)
		}
	}
	if !reseal.HasLeft(ana) {
		t.Fatal("the day is not noted")
	}
	text(t, ana, "after it", "bob")
	if n := cuts(); n != 0 {
		t.Errorf("the stream was ended %d times", n)
	}
}
