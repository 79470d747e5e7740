package mailbox_test

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal/api/blobs"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

func claim(d *tw.Device, m *tw.Message) error {
	_, err := d.C.Mailbox.Claim(ctx, &resealv1.ClaimRequest{MessageId: m.Header.ID[:]})
	return err
}

func post(d *tw.Device, m *tw.Message, what message.What) (*resealv1.PostReceiptResponse, error) {
	return d.C.Mailbox.PostReceipt(ctx, m.ReceiptRequest(d, what))
}

func TestClaim(t *testing.T) {
	w, alice, _, bob, bobTablet := pair(t)
	m, _ := alice.Send(bob.Account, tw.Once)
	kept, _ := alice.Send(bob.Account, nil)
	tw.Refused(t, claim(bob, kept), resealv1.Reason_REASON_MALFORMED)
	tw.Refused(t, claim(alice, m), resealv1.Reason_REASON_UNKNOWN_MESSAGE)
	_, err := bob.C.Mailbox.Claim(ctx, &resealv1.ClaimRequest{MessageId: []byte{1}})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	_, err = post(bob, m, message.Viewed)
	tw.Refused(t, err, resealv1.Reason_REASON_CLAIMED) // without a claim

	var wins, losses int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			err := claim([]*tw.Device{bob, bobTablet}[i%2], m)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				wins++
			} else {
				losses++
			}
		})
	}
	all.Wait()
	if wins != 20 || losses != 20 {
		t.Errorf("%d claims won, %d lost: more or less than one device won", wins, losses)
	}
	winner, loser := bob, bobTablet
	if claim(bob, m) != nil {
		winner, loser = loser, winner
	}
	if err := claim(winner, m); err != nil {
		t.Errorf("the same device again: %v", err)
	}
	tw.Refused(t, claim(loser, m), resealv1.Reason_REASON_CLAIMED)
	_, err = post(loser, m, message.Viewed)
	tw.Refused(t, err, resealv1.Reason_REASON_CLAIMED)
	w.Pass(2*time.Minute + time.Second)
	if err := claim(loser, m); err != nil {
		t.Errorf("after the claim lapsed: %v", err)
	}
	_, err = post(winner, m, message.Viewed)
	tw.Refused(t, err, resealv1.Reason_REASON_CLAIMED)
	if resp, err := post(loser, m, message.Viewed); err != nil || resp.End != nil {
		t.Errorf("%v, %v", resp, err)
	}
	tw.Refused(t, claim(winner, m), resealv1.Reason_REASON_MESSAGE_ENDED)
}

// The claim's commit ends unknown: the same device holds it all the same.
func TestClaimUnknown(t *testing.T) {
	for _, o := range []memory.Outcome{memory.Now, memory.Never} {
		w, alice, _, bob, _ := pair(t)
		m, _ := alice.Send(bob.Account, tw.Once)
		n := 0
		w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
			if n++; n == 1 {
				return o
			}
			return memory.Known
		})
		if err := claim(bob, m); err != nil {
			t.Error(err)
		}
	}
}

func TestViewEndsEverywhere(t *testing.T) {
	w, alice, aliceTablet, bob, bobTablet := pair(t)
	m := alice.Compose(bob.Account, tw.Once)
	sent := m.Request(bobTablet)
	send(t, alice, sent)
	tw.Must[*resealv1.AddWrapsResponse](t)(alice.C.Mailbox.AddWraps(ctx, m.AddRequest(alice, bobTablet)))
	if _, err := post(bobTablet, m, message.Received); err != nil {
		t.Fatal(err)
	}
	streams := map[*tw.Device]*tw.Stream{}
	for _, d := range []*tw.Device{alice, aliceTablet, bobTablet} {
		streams[d], _ = d.Events()
	}
	if err := claim(bob, m); err != nil {
		t.Fatal(err)
	}
	viewed := m.ReceiptRequest(bob, message.Viewed)
	for range 2 {
		if resp, err := bob.C.Mailbox.PostReceipt(ctx, viewed); err != nil || resp.End != nil {
			t.Fatalf("%v, %v", resp, err)
		}
	}
	for d, s := range streams {
		ev := s.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetEnd() != nil })
		end, err := message.ParseEndRecord(ev.GetEnd())
		if err != nil || end.Verify(m.Header, m.Secret.R, w.Time()) != nil || end.State != message.StateViewed {
			t.Errorf("end at %s: %v, %v", d.Handle, end, err)
		}
	}
	gone(t, w, m)
	// No revival, whatever is repeated.
	if resp := send(t, alice, sent); resp.End == nil || len(resp.Stale) != 0 {
		t.Errorf("a repeat of the send answers %v", resp)
	}
	if resp := tw.Must[*resealv1.AddWrapsResponse](t)(alice.C.Mailbox.AddWraps(ctx, m.AddRequest(alice, bob))); resp.End == nil {
		t.Error("a wrap was added to an ended message")
	}
	if resp, err := post(alice, m, message.Unsent); err != nil || resp.End == nil {
		t.Errorf("unsent after viewed: %v, %v", resp, err)
	}
	if resp, err := post(bobTablet, m, message.Received); err != nil || resp.End == nil {
		t.Errorf("received after viewed: %v, %v", resp, err)
	}
	gone(t, w, m)
	for _, d := range []*tw.Device{bob, bobTablet, aliceTablet, alice} {
		if y := d.Today(); len(y.Messages) != 0 || len(y.Ends) != 1 {
			t.Errorf("%d messages, %d ends", len(y.Messages), len(y.Ends))
		}
	}
}

// gone checks that nothing is left of a message but its ends (and the claim and
// queue entries, which hold no more than its id).
func gone(t *testing.T, w *tw.World, m *tw.Message) {
	t.Helper()
	for _, a := range [][16]byte{m.Header.Sender, m.Header.Recipient} {
		p := records.MessagePartition(a, m.Header.ID)
		ends := 0
		for rec, err := range store.Scan(ctx, w.Store, p, "", "", false) {
			if err != nil {
				t.Fatal(err)
			}
			id, ok := records.MessageOfKey(rec.Key)
			switch {
			case strings.HasPrefix(string(rec.Key), "q/"), strings.HasPrefix(string(rec.Key), "l/"):
			case ok && id == m.Header.ID && strings.HasPrefix(string(rec.Key), "e/"):
				ends++
			case ok && id == m.Header.ID:
				t.Errorf("record %q is left", rec.Key[:2])
			}
		}
		if ends != 1 {
			t.Errorf("%d end records", ends)
		}
	}
}

// A send is slow, and its message is viewed and swept while it is under way: the
// late records go again.
func TestNoRevivalByASlowSend(t *testing.T) {
	w, alice, _, bob, _ := pair(t)
	m := alice.Compose(bob.Account, tw.Once)
	req := m.Request()
	var once sync.Once
	w.Outcomes(func(p store.Partition, b *store.Batch) memory.Outcome {
		if p == records.MessagePartition(alice.Account.ID, m.Header.ID) && b.Writes[0].Key == records.CopyKey(m.Header.ID) {
			once.Do(func() {
				if err := claim(bob, m); err != nil {
					t.Error(err)
				}
				if _, err := post(bob, m, message.Viewed); err != nil {
					t.Error(err)
				}
			})
		}
		return memory.Known
	})
	if resp := send(t, alice, req); resp.End == nil {
		t.Error("the slow send does not tell the end")
	}
	gone(t, w, m)
}

func TestReceiptRules(t *testing.T) {
	w, alice, aliceTablet, bob, bobTablet := pair(t)
	carol := w.Account("carol")
	m, _ := alice.Send(bob.Account, nil)
	s, _ := aliceTablet.Events()
	for name, c := range map[string]struct {
		by     *tw.Device
		what   message.What
		change func(*resealv1.PostReceiptRequest)
		want   resealv1.Reason
	}{
		"received by sender":  {alice, message.Received, nil, resealv1.Reason_REASON_MALFORMED},
		"unsent by recipient": {bob, message.Unsent, nil, resealv1.Reason_REASON_MALFORMED},
		"viewed, but kept":    {bob, message.Viewed, nil, resealv1.Reason_REASON_MALFORMED},
		"a stranger":          {carol, message.Received, nil, resealv1.Reason_REASON_MALFORMED},
		"as another's sender": {carol, message.Received, func(r *resealv1.PostReceiptRequest) { r.Sender = carol.Account.ID[:] }, resealv1.Reason_REASON_UNKNOWN_MESSAGE},
		"another's receipt":   {bob, message.Received, func(r *resealv1.PostReceiptRequest) { r.Receipt = m.Receipt(bobTablet, message.Received) }, resealv1.Reason_REASON_MALFORMED},
		"cut":                 {bob, message.Received, func(r *resealv1.PostReceiptRequest) { r.Receipt = r.Receipt[1:] }, resealv1.Reason_REASON_MALFORMED},
		"another message":     {bob, message.Received, func(r *resealv1.PostReceiptRequest) { r.MessageId = tw.Random(32) }, resealv1.Reason_REASON_MALFORMED},
	} {
		t.Run(name, func(t *testing.T) {
			req := m.ReceiptRequest(c.by, c.what)
			if c.change != nil {
				c.change(req)
			}
			_, err := c.by.C.Mailbox.PostReceipt(ctx, req)
			tw.Refused(t, err, c.want)
		})
	}
	w.Pass(2 * time.Hour)
	ahead := m.ReceiptRequest(bob, message.Seen)
	w.Pass(-2 * time.Hour)
	_, err := bob.C.Mailbox.PostReceipt(ctx, ahead)
	tw.Refused(t, err, resealv1.Reason_REASON_CLOCK)

	seen := m.ReceiptRequest(bob, message.Seen)
	for range 2 {
		tw.Must[*resealv1.PostReceiptResponse](t)(bob.C.Mailbox.PostReceipt(ctx, seen))
	}
	got := s.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetReceipt() != nil })
	if !bytes.Equal(got.GetReceipt(), seen.Receipt) {
		t.Error("another receipt arrived")
	}
	for _, d := range []*tw.Device{alice, bobTablet} {
		if y := d.Today(); len(y.Receipts) != 1 || !bytes.Equal(y.Receipts[0], seen.Receipt) || len(y.Ends) != 0 {
			t.Errorf("%v", y)
		}
	}
	// Unsent by another device of the sender.
	if resp, err := post(aliceTablet, m, message.Unsent); err != nil || resp.End != nil {
		t.Fatalf("%v, %v", resp, err)
	}
	gone(t, w, m)
}

// A crash after the end record: the repeat of the receipt does the rest.
func TestEndCrash(t *testing.T) {
	for at := 1; at < 8; at++ {
		w, alice, _, bob, bobTablet := pair(t)
		m, _ := alice.Send(bob.Account, tw.Once)
		if err := claim(bob, m); err != nil {
			t.Fatal(err)
		}
		req := m.ReceiptRequest(bob, message.Viewed)
		n := 0
		w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
			if n++; n > at {
				return memory.Never
			}
			return memory.Known
		})
		_, err := bob.C.Mailbox.PostReceipt(ctx, req)
		w.Outcomes(nil)
		if err != nil {
			tw.Refused(t, err, resealv1.Reason_REASON_UNAVAILABLE)
			if resp := send(t, alice, m.Request()); resp.End == nil {
				t.Errorf("crash at %d: not over", at)
			}
		}
		if resp, err := bob.C.Mailbox.PostReceipt(ctx, req); err != nil || resp.End != nil {
			t.Fatalf("crash at %d: repeat: %v, %v", at, resp, err)
		}
		gone(t, w, m)
		if _, backlog := bobTablet.Events(); len(backlog) == 0 || backlog[0].GetEnd() == nil {
			t.Errorf("crash at %d: the tablet was not told: %v", at, backlog)
		}
	}
}

// The blob of an ended message is collected, that of a pending one stays.
func TestEndDropsTheBlob(t *testing.T) {
	w, alice, _, bob, _ := pair(t)
	srv := httptest.NewServer(w.Server.Handler())
	defer srv.Close()
	capability := tw.Random(32)
	id := upload(t, srv.URL, alice, capability, tw.Random(5000))
	blobbed := func(h *message.Header) { h.Blob, h.Length = id, 5000 }
	m := alice.Compose(bob.Account, blobbed)
	req := m.Request()
	_, err := alice.C.Mailbox.Send(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED) // no capability
	req.BlobCapability = tw.Random(32)
	_, err = alice.C.Mailbox.Send(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_BLOB)
	req.BlobCapability = capability
	send(t, alice, req)
	refs := func() int {
		n := 0
		for _, err := range store.Scan(ctx, w.Store, store.Partition("O/"+string(id[:])), "ref/", "ref0", true) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	if refs() != 1 {
		t.Fatalf("%d references", refs())
	}
	if _, err := post(alice, m, message.Unsent); err != nil {
		t.Fatal(err)
	}
	if refs() != 0 {
		t.Error("the reference outlives its message")
	}
	gone(t, w, m)
}

// upload puts a small blob over HTTP.
func upload(t *testing.T, url string, d *tw.Device, capability, content []byte) message.BlobID {
	t.Helper()
	id := message.BlobID(tw.Random(32))
	hash := sha256.Sum256(capability)
	call := func(method, path, contentType string, body []byte) {
		t.Helper()
		r, err := http.NewRequest(method, url+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+d.Token())
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		r.Header.Set(blobs.DigestHeader, blobs.Digest(sha256.Sum256(body)))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			var b bytes.Buffer
			_, _ = b.ReadFrom(resp.Body)
			t.Fatalf("%s %s: %s %s", method, path, resp.Status, b.String())
		}
	}
	create := `{"id":"` + blobs.EncodeBytes(id[:]) + `","length":5000,"segments":70,"capability":"` + blobs.EncodeBytes(hash[:]) + `"}`
	call("POST", blobs.Root, "application/json", []byte(create))
	call("PUT", blobs.PartPath(id, 0), "", content)
	call("PUT", blobs.SegmentsPath(id), "", tw.Random(70))
	call("POST", blobs.CompletePath(id), "", nil)
	return id
}
