package mailbox_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/bus/local"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/server/mailbox"
)

// fakeBlobs answers every reference with err, after something happened meanwhile.
type fakeBlobs struct {
	meanwhile func()
	err       error
}

func (b fakeBlobs) AddReference(context.Context, message.BlobID, [32]byte, identity.AccountID, message.ID, identity.Time) error {
	if b.meanwhile != nil {
		b.meanwhile()
	}
	return b.err
}

func (fakeBlobs) DropReference(context.Context, message.BlobID, identity.AccountID, message.ID) error {
	return nil
}

type uncounted struct{}

func (uncounted) Count(string, string) {}

// Two tries of one send overlap: the other one stores the message, which may
// also end and drop its blob, before this one asks for the blob. It must not say
// that the blob is unknown: the message would be sent again under another id.
func TestSendOverlapsItsEnd(t *testing.T) {
	for _, ends := range []bool{false, true} {
		w, alice, _, bob, _ := pair(t)
		m := alice.Compose(bob.Account, func(h *message.Header) { h.Blob, h.Length = message.BlobID{1}, 5000 })
		req := m.Request()
		req.BlobCapability = tw.Random(32)
		as := caller.With(ctx, caller.Caller{Account: alice.Account.ID, Device: alice.ID})
		node := func(b fakeBlobs) *mailbox.Service {
			return &mailbox.Service{
				Store: w.Store, Bus: new(local.Bus), Blobs: b, Limiter: limits.New(limits.Config{}, w.Now),
				Counter: uncounted{}, Log: slog.New(slog.DiscardHandler), Now: w.Now, Rand: rand.Reader,
			}
		}
		unknown := refusal.New(resealv1.Reason_REASON_UNKNOWN_BLOB)
		_, err := node(fakeBlobs{err: unknown}).Send(as, req)
		tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_BLOB) // nothing came between
		resp, err := node(fakeBlobs{err: unknown, meanwhile: func() {
			tw.Must[*resealv1.SendResponse](t)(node(fakeBlobs{}).Send(as, req))
			if ends {
				tw.Must[*resealv1.PostReceiptResponse](t)(alice.C.Mailbox.PostReceipt(ctx, m.ReceiptRequest(alice, message.Unsent)))
			}
		}}).Send(as, req)
		if err != nil || (resp.End != nil) != ends {
			t.Errorf("ends %v: %v, %v", ends, resp, err)
		}
	}
}
