package mailbox_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

var ctx = context.Background()

// pair is two people with a phone and a tablet each.
func pair(t testing.TB) (w *tw.World, alice, aliceTablet, bob, bobTablet *tw.Device) {
	w = tw.New(t, nil)
	alice, bob = w.Account("alice"), w.Account("bob")
	return w, alice, alice.Account.Join(), bob, bob.Account.Join()
}

func send(t testing.TB, d *tw.Device, req *resealv1.SendRequest) *resealv1.SendResponse {
	t.Helper()
	return tw.Must[*resealv1.SendResponse](t)(d.C.Mailbox.Send(ctx, req))
}

func TestSendReachesEveryDevice(t *testing.T) {
	_, alice, aliceTablet, bob, bobTablet := pair(t)
	m := alice.Compose(bob.Account, nil)
	req := m.Request()
	for range 3 { // repeats store and queue nothing more
		if resp := send(t, alice, req); len(resp.Stale) > 0 || resp.End != nil {
			t.Fatalf("%v", resp)
		}
	}
	for _, d := range []*tw.Device{bob, bobTablet, aliceTablet} {
		p := d.Today().Find(m.Header.ID)
		if p == nil || !m.Opens(d, p.Wraps) || len(p.Wraps) != 1 || p.Copy != (d == aliceTablet) {
			t.Fatalf("%v", p)
		}
		if want := m.Inline; d != aliceTablet && !bytes.Equal(p.Inline, want) {
			t.Error("another ciphertext")
		}
		if _, backlog := d.Events(); len(backlog) != 1 || backlog[0].GetMessage() == nil {
			t.Errorf("queue: %v", backlog)
		}
	}
	if alice.Today().Find(m.Header.ID) != nil {
		t.Error("the sending device is given its own message")
	}
}

func TestSendToOneself(t *testing.T) {
	_, alice, aliceTablet, _, _ := pair(t)
	m, resp := alice.Send(alice.Account, nil)
	if len(resp.Stale) != 0 {
		t.Errorf("stale: %v", resp.Stale)
	}
	if p := aliceTablet.Today().Find(m.Header.ID); p == nil || !m.Opens(aliceTablet, p.Wraps) {
		t.Error("the other device lacks it")
	}
	m = alice.Compose(alice.Account, nil)
	if resp := send(t, alice, m.Request(aliceTablet)); len(resp.Stale) != 1 {
		t.Errorf("%d accounts stale, want 1", len(resp.Stale))
	}
}

func TestSendMalformed(t *testing.T) {
	w, alice, aliceTablet, bob, bobTablet := pair(t)
	carol := w.Account("carol")
	m := alice.Compose(bob.Account, nil)
	good := m.Request()
	other := alice.Compose(bob.Account, nil)
	header := func(change func(*message.Header)) func(*resealv1.SendRequest) {
		return func(r *resealv1.SendRequest) {
			h := m.Header
			change(&h)
			h.ID = message.NewID(h.Created.Day(), h.Sender, h.Recipient, m.Client, h.Digest)
			r.Header = h.Encode()
		}
	}
	const malformed, limit = resealv1.Reason_REASON_MALFORMED, resealv1.Reason_REASON_LIMIT
	for name, c := range map[string]struct {
		change func(*resealv1.SendRequest)
		want   resealv1.Reason
	}{
		"no header":       {func(r *resealv1.SendRequest) { r.Header = nil }, malformed},
		"header tail":     {func(r *resealv1.SendRequest) { r.Header = append(r.Header, 0) }, malformed},
		"header version":  {func(r *resealv1.SendRequest) { r.Header[1]++ }, malformed},
		"id":              {func(r *resealv1.SendRequest) { r.Header[10] ^= 1 }, malformed},
		"client id":       {func(r *resealv1.SendRequest) { r.ClientId[0] ^= 1 }, malformed},
		"short client id": {func(r *resealv1.SendRequest) { r.ClientId = r.ClientId[1:] }, malformed},
		"kind":            {header(func(h *message.Header) { h.Kind = 9 }), malformed},
		"policy":          {header(func(h *message.Header) { h.Policy = 0 }), malformed},
		"suite":           {header(func(h *message.Header) { h.Suite = 7 }), malformed},
		"life":            {header(func(h *message.Header) { h.Expires = h.Created.Add(message.MaxLife + 1e6) }), malformed},
		"ends before":     {header(func(h *message.Header) { h.Expires = h.Created.Add(-1e6) }), malformed},
		"rewrapper":       {header(func(h *message.Header) { *h = h.WithRewrapper(bob.Account.ID, bob.ID) }), malformed},
		"length":          {header(func(h *message.Header) { h.Length++ }), malformed},
		"inline too long": {func(r *resealv1.SendRequest) {
			header(func(h *message.Header) { h.Length = message.MaxInline + 1 })(r)
			r.Inline = make([]byte, message.MaxInline+1)
		}, malformed},
		"inline and blob":  {header(func(h *message.Header) { h.Blob = message.BlobID{1} }), malformed},
		"another's device": {header(func(h *message.Header) { h.SenderDevice = aliceTablet.ID }), malformed},
		"another's name":   {header(func(h *message.Header) { h.Sender = carol.Account.ID }), malformed},
		"nobody":           {header(func(h *message.Header) { h.Recipient = identity.AccountID{} }), malformed},
		"created ahead": {header(func(h *message.Header) {
			h.Created, h.Expires = h.Created.Add(61*time.Minute), h.Expires.Add(61*time.Minute)
		}), resealv1.Reason_REASON_CLOCK},
		"created two days ago": {header(func(h *message.Header) { h.Created = h.Created.Add(-48 * time.Hour) }), resealv1.Reason_REASON_CLOCK},
		"unknown account": {func(r *resealv1.SendRequest) {
			header(func(h *message.Header) { h.Recipient = identity.AccountID{9} })(r)
			r.Wraps = nil
		}, resealv1.Reason_REASON_UNKNOWN_ACCOUNT},
		"long segments": {func(r *resealv1.SendRequest) { r.Segments = make([]byte, message.MaxInlineSegments+1) }, limit},
		"many wraps": {func(r *resealv1.SendRequest) {
			for len(r.Wraps) <= message.MaxWraps {
				r.Wraps = append(r.Wraps, r.Wraps[0])
			}
		}, limit},
		"wrap twice":   {func(r *resealv1.SendRequest) { r.Wraps = append(r.Wraps, r.Wraps[0]) }, malformed},
		"cut wrap":     {func(r *resealv1.SendRequest) { r.Wraps[0] = r.Wraps[0][1:] }, malformed},
		"copy as wrap": {func(r *resealv1.SendRequest) { r.Wraps = append(r.Wraps, r.Copies...) }, malformed},
		"wrap as copy": {func(r *resealv1.SendRequest) { r.Copies = r.Wraps }, malformed},
		"wrap for a stranger": {func(r *resealv1.SendRequest) {
			r.Wraps = [][]byte{alice.Compose(carol.Account, nil).Wrap(alice, carol)}
		}, malformed},
		"wrap by a stranger":   {func(r *resealv1.SendRequest) { r.Wraps = [][]byte{carol.Compose(bob.Account, nil).Wrap(carol, bob)} }, malformed},
		"wrap by other device": {func(r *resealv1.SendRequest) { r.Wraps = [][]byte{m.Wrap(aliceTablet, bob)} }, malformed},
	} {
		t.Run(name, func(t *testing.T) {
			req := proto.Clone(good).(*resealv1.SendRequest)
			c.change(req)
			_, err := alice.C.Mailbox.Send(ctx, req)
			tw.Refused(t, err, c.want)
		})
	}
	if got := bobTablet.Today().Messages; len(got) != 0 {
		t.Fatalf("%d messages were stored", len(got))
	}
	send(t, alice, good)
	// The same id with other bytes.
	clash := proto.Clone(good).(*resealv1.SendRequest)
	clash.Inline = other.Inline
	_, err := alice.C.Mailbox.Send(ctx, clash)
	tw.Refused(t, err, resealv1.Reason_REASON_CONFLICT)
	clash = proto.Clone(good).(*resealv1.SendRequest)
	clash.Copies = nil
	_, err = alice.C.Mailbox.Send(ctx, clash)
	tw.Refused(t, err, resealv1.Reason_REASON_CONFLICT)
}

// The stored bytes of a send may be repeated after an outage of a day.
func TestSendAfterOutage(t *testing.T) {
	w, alice, _, bob, _ := pair(t)
	m := alice.Compose(bob.Account, nil)
	req := m.Request()
	w.Pass(20 * time.Hour)
	send(t, alice, req)
	if p := bob.ReadDay(m.Header.ID.Day()).Find(m.Header.ID); p == nil {
		t.Fatal("not stored")
	}
	late := alice.Compose(bob.Account, nil)
	lateReq := late.Request()
	w.Pass(25 * time.Hour)
	resp := send(t, alice, lateReq)
	end, err := message.ParseEndRecord(resp.End)
	if err != nil || end.State != message.StateExpired || end.Verify(late.Header, late.Secret.R, w.Time()) != nil {
		t.Errorf("an expired message ended with %v, %v", end, err)
	}
	w.Pass(time.Minute)
	if got := bob.ReadDay(late.Header.ID.Day()); got.Find(late.Header.ID) != nil || got.Find(m.Header.ID) != nil {
		t.Error("expired messages are handed out")
	}
}

func TestSendLooksAgain(t *testing.T) {
	w, alice, aliceTablet, bob, bobTablet := pair(t)
	stale := func(resp *resealv1.SendResponse, whose ...*tw.Device) {
		t.Helper()
		if len(resp.Stale) != len(whose) {
			t.Fatalf("%d accounts stale, want %d", len(resp.Stale), len(whose))
		}
		for i, d := range whose {
			if !bytes.Equal(resp.Stale[i].AccountId, d.Account.ID[:]) || !bytes.Equal(resp.Stale[i].List, d.List.Bytes()) {
				t.Errorf("stale account %d is another, or with another list", i)
			}
		}
	}
	m := alice.Compose(bob.Account, nil)
	req := m.Request(bobTablet)
	stale(send(t, alice, req), bob)
	added := tw.Must[*resealv1.AddWrapsResponse](t)(alice.C.Mailbox.AddWraps(ctx, m.AddRequest(alice, bobTablet)))
	if len(added.Stale) != 0 {
		t.Error("stale after the wrap was added")
	}
	stale(send(t, alice, req)) // the repeat sees the wrap that came later
	stale(send(t, alice, alice.Compose(bob.Account, nil).Request(bob, bobTablet, aliceTablet)), bob, alice)

	// An epoch that was superseded: good for six days, then stale.
	old := bob.Newest()
	w.Pass(8 * 24 * time.Hour)
	for _, d := range []*tw.Device{aliceTablet, bobTablet, alice, bob} {
		d.Publish()
	}
	toOld := func() *resealv1.SendRequest {
		m := alice.Compose(bob.Account, nil)
		req := m.Request(bob)
		req.Wraps = append(req.Wraps, m.WrapEpoch(alice, bob, old))
		return req
	}
	stale(send(t, alice, toOld()))
	w.Pass(5 * 24 * time.Hour)
	stale(send(t, alice, toOld()))
	w.Pass(2 * 24 * time.Hour)
	resp := send(t, alice, toOld())
	stale(resp, bob)
	newest := false
	for _, c := range resp.Stale[0].Certificates {
		newest = newest || bytes.Equal(c, bob.Newest().Cert.Bytes())
	}
	if !newest {
		t.Error("the answer lacks the newer certificate")
	}
}

// Wraps for a device that has left are of no use and no harm; a device that has
// joined is missed.
func TestSendAcrossListChanges(t *testing.T) {
	_, alice, _, bob, bobTablet := pair(t)
	m := alice.Compose(bob.Account, nil)
	req := m.Request()
	bob.Remove(bobTablet)
	if resp := send(t, alice, req); len(resp.Stale) != 0 {
		t.Error("stale because of a device that left")
	}
	m = alice.Compose(bob.Account, nil)
	req = m.Request(bobTablet)
	laptop := bob.Account.Join()
	resp := send(t, alice, req)
	if len(resp.Stale) != 1 || !bytes.Equal(resp.Stale[0].List, bob.List.Bytes()) {
		t.Fatal("the joined device is not missed")
	}
	tw.Must[*resealv1.AddWrapsResponse](t)(alice.C.Mailbox.AddWraps(ctx, m.AddRequest(alice, laptop, bobTablet)))
	if p := laptop.Today().Find(m.Header.ID); p == nil || !m.Opens(laptop, p.Wraps) {
		t.Error("its wrap did not arrive")
	}
	for rec, err := range store.Scan(ctx, alice.W.Store, records.MessagePartition(bob.Account.ID, m.Header.ID), records.WrapsOf(m.Header.ID), store.PrefixEnd(records.WrapsOf(m.Header.ID)), false) {
		if err != nil {
			t.Fatal(err)
		}
		if w, _ := message.ParseWrap(rec.Value); w.Context.To.Device == bobTablet.ID {
			t.Error("a wrap for a device that left was stored")
		}
	}
}

// Unknown outcomes at every commit of a send, one after the other: a repeat with
// the same bytes makes one message, with one queue entry a device.
func TestSendUnknownOutcomes(t *testing.T) {
	for _, o := range []memory.Outcome{memory.Now, memory.Never} {
		for at := range 4 {
			w, alice, aliceTablet, bob, bobTablet := pair(t)
			m := alice.Compose(bob.Account, nil)
			req := m.Request()
			n := 0
			w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
				if n++; n > at && n <= at+2 {
					return o
				}
				return memory.Known
			})
			_, err := alice.C.Mailbox.Send(ctx, req)
			if err != nil {
				tw.Refused(t, err, resealv1.Reason_REASON_UNAVAILABLE)
			}
			w.Outcomes(nil)
			if resp := send(t, alice, req); len(resp.Stale) != 0 || resp.End != nil {
				t.Fatalf("%v", resp)
			}
			for _, d := range []*tw.Device{aliceTablet, bob, bobTablet} {
				if p := d.Today(); len(p.Messages) != 1 || !m.Opens(d, p.Messages[0].Wraps) {
					t.Fatalf("outcome %d at %d: %v", o, at, p)
				}
				if _, backlog := d.Events(); len(backlog) != 1 {
					t.Errorf("outcome %d at %d: %d queue entries", o, at, len(backlog))
				}
			}
		}
	}
}

func TestSendLimits(t *testing.T) {
	_, alice, _, _, _ := pair(t)
	_, err := alice.C.Mailbox.Acknowledge(ctx, &resealv1.AcknowledgeRequest{Entries: make([][]byte, 257)})
	tw.Refused(t, err, resealv1.Reason_REASON_LIMIT)
	_, err = alice.C.Mailbox.Acknowledge(ctx, &resealv1.AcknowledgeRequest{Entries: [][]byte{[]byte("q/")}})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	watch := make([][]byte, 4097)
	for i := range watch {
		watch[i] = tw.Random(16)
	}
	_, err = alice.C.Mailbox.Watch(ctx, &resealv1.WatchRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_UNAVAILABLE) // no stream
	alice.Events()
	_, err = alice.C.Mailbox.Watch(ctx, &resealv1.WatchRequest{Watch: watch})
	tw.Refused(t, err, resealv1.Reason_REASON_LIMIT)
	_, err = alice.C.Mailbox.Watch(ctx, &resealv1.WatchRequest{Watch: [][]byte{{1}}})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	_, err = alice.C.Mailbox.AskRetry(ctx, &resealv1.AskRetryRequest{Requests: make([][]byte, 17)})
	tw.Refused(t, err, resealv1.Reason_REASON_LIMIT)
	_, err = alice.C.Mailbox.ReadDay(ctx, &resealv1.ReadDayRequest{From: []byte("x")})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	_, err = alice.C.Directory.GetAccounts(ctx, &resealv1.GetAccountsRequest{Accounts: make([]*resealv1.KnownAccount, 257)})
	tw.Refused(t, err, resealv1.Reason_REASON_LIMIT)
	_, err = alice.C.Directory.GetCertificates(ctx, &resealv1.GetCertificatesRequest{Certificates: make([]*resealv1.NamedCertificate, 65)})
	tw.Refused(t, err, resealv1.Reason_REASON_LIMIT)
}
