package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal/api/blobs"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

var ctx = context.Background()

const canaryHandle, canaryPassword = "canary-handle", "canary battery staple"

// populate does everything once that leaves a record, and returns the secrets
// that the server must never have, and what it may have but never log.
func populate(t *testing.T, w *tw.World) (secrets, private [][]byte) {
	alice := w.SignUp(canaryHandle, canaryPassword)
	bob := w.Account("bob")
	for _, d := range []*tw.Device{alice, bob} {
		d.Account.Join()
	}
	w.Pass(8 * 24 * time.Hour)
	alice.Publish()
	_, _, _, err := w.Login(canaryHandle, canaryPassword)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := w.Login(canaryHandle, "wrong battery staple"); err == nil {
		t.Fatal("logged in by a wrong password")
	}
	m, _ := alice.Send(bob.Account, nil)
	laptop := bob.Account.Join()
	tw.Must[*resealv1.AskRetryResponse](t)(laptop.C.Mailbox.AskRetry(ctx, &resealv1.AskRetryRequest{Requests: [][]byte{laptop.Ask(alice.Account.ID, m.Header.ID).Bytes()}}))
	tw.Must[*resealv1.AddWrapsResponse](t)(alice.C.Mailbox.AddWraps(ctx, m.AddRequest(alice, laptop)))
	tw.Must[*resealv1.PostReceiptResponse](t)(bob.C.Mailbox.PostReceipt(ctx, m.ReceiptRequest(bob, message.Seen)))
	once, _ := alice.Send(bob.Account, tw.Once)
	tw.Must[*resealv1.ClaimResponse](t)(bob.C.Mailbox.Claim(ctx, &resealv1.ClaimRequest{MessageId: once.Header.ID[:]}))
	tw.Must[*resealv1.PostReceiptResponse](t)(bob.C.Mailbox.PostReceipt(ctx, once.ReceiptRequest(bob, message.Viewed)))
	tw.Must[*resealv1.PutBookResponse](t)(alice.C.PutBook(ctx, &resealv1.PutBookRequest{BaseVersion: 1, Book: &resealv1.Book{Version: 2, Parts: [][]byte{tw.Random(99)}}}))
	tw.Must[*resealv1.SetBlockedResponse](t)(bob.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: tw.Random(16), Blocked: true}))
	share := alice.APIShare()
	share.ShareId = tw.Random(16)
	alice.Refresh()
	tw.Must[*resealv1.PutShareResponse](t)(alice.C.PutShare(ctx, &resealv1.PutShareRequest{Revision: alice.Revision, Share: share, CurrentShareId: alice.Share[:]}))
	alice.Remove(alice.Devices[1])
	tw.Must[*resealv1.AskResetResponse](t)(alice.C.AskReset(ctx, &resealv1.AskResetRequest{}))
	create := `{"id":"` + blobs.EncodeBytes(tw.Random(32)) + `","length":5000,"segments":70,"capability":"` + blobs.EncodeBytes(tw.Random(32)) + `"}`
	serveBlob(t, w, alice.Token(), create)
	// Refusals and faults are logged, if at all, without what they were about.
	_, _ = bob.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: "nobody-there"})
	w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome { return memory.Never })
	_, err = alice.C.Mailbox.Send(ctx, alice.Compose(bob.Account, nil).Request())
	tw.Refused(t, err, resealv1.Reason_REASON_UNAVAILABLE)
	w.Outcomes(nil)

	secrets = [][]byte{[]byte(canaryPassword), m.Secret.R[:], m.Secret.CEK[:], once.Secret.R[:], once.Secret.CEK[:], []byte(alice.Code.Reveal()), w.Setup.Encode()[4:36]}
	for _, d := range []*tw.Device{alice, bob, laptop} {
		s := d.Session.Bytes()
		secrets = append(secrets, s[:], d.Key.Seed(), d.Newest().Key.Seed(), d.Newest().Auth.Seed(), d.Keys.Account.Seed())
		private = append(private, d.Account.ID[:], d.ID[:], d.Row[:], d.Half)
	}
	return secrets, append(private, []byte(canaryHandle), []byte("nobody-there"), m.Header.ID[:], once.Header.ID[:], []byte("127.0.0.1"))
}

func serveBlob(t *testing.T, w *tw.World, token, create string) {
	t.Helper()
	r, err := http.NewRequest("POST", blobs.Root, strings.NewReader(create))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	rec := new(recorder)
	w.Server.Handler().ServeHTTP(rec, r)
	if rec.status >= 300 {
		t.Fatalf("blob: %d %s", rec.status, rec.body.String())
	}
}

// recorder is a response nobody reads.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}
func (r *recorder) WriteHeader(s int)           { r.status = s }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// The store keeps exactly the listed fields: after everything has happened once,
// every record is one of them, down to its last byte, every one of them was
// seen, and no secret is anywhere.
func TestFields(t *testing.T) {
	var mu sync.Mutex
	partitions := map[store.Partition]bool{}
	w := tw.New(t, func(c *server.Config) {
		c.Store, c.Signup = noting{c.Store, &mu, partitions}, resealv1.Signup_SIGNUP_INVITE
	})
	w.Invites = true
	if _, err := server.LoadKeyFile(ctx, noting{w.Store, &mu, partitions}, t.TempDir()+"/key", random{}); err != nil {
		t.Fatal(err)
	}
	secrets, _ := populate(t, w)
	seen := map[string]bool{}
	for p := range partitions {
		for rec, err := range store.Scan(ctx, w.Store, p, "", "", false) {
			if err != nil {
				t.Fatal(err)
			}
			seen[kind(rec.Key)] = true
			known, err := records.Check(p, rec)
			if err != nil || (!known && !blobRecord(p, rec)) {
				t.Errorf("partition %q: record %q is not in the list: %v", p[:2], rec.Key, err)
			}
			all := append([]byte(string(p)+string(rec.Key)), rec.Value...)
			for i, s := range secrets {
				if bytes.Contains(all, s) {
					t.Errorf("secret %d is in a record %q", i, rec.Key)
				}
			}
			if bytes.Contains(all, []byte(canaryHandle)) && rec.Key != records.Pw && p != records.HandlePartition(canaryHandle) {
				t.Errorf("the handle is in a record %q", rec.Key)
			}
		}
	}
	for _, rule := range server.Schema() {
		// The messages' blobs are tested with them.
		if !seen[rule.Prefix] && rule.Prefix != "st" && rule.Prefix != "ref/" {
			t.Errorf("no record %q: the test does not see what it would hold", rule.Prefix)
		}
	}
}

func kind(k store.Key) string {
	if i := strings.IndexByte(string(k), '/'); i >= 0 {
		return string(k[:i+1])
	}
	return string(k)
}

// blobRecord tells whether a record is one of spec/blob.md, by its place and
// size.
func blobRecord(p store.Partition, rec store.Record) bool {
	if len(rec.Value) == 0 || rec.Value[0] != 1 {
		return rec.Gone()
	}
	switch k, n := kind(rec.Key), len(rec.Value); {
	case len(p) == 2+16 && k == "up/":
		return n == 53 && len(rec.Key) == 3+32+16
	case len(p) == 2+16 && k == "own/":
		return n == 9 && len(rec.Key) == 4+32+16
	case len(p) == 2+4+1+1 && k == "due/":
		return n == 41 && len(rec.Key) == 4+32+1+16
	case p == "D" && k == "due-low":
		return n == 5
	}
	return false
}

// noting notes which partitions there are.
type noting struct {
	store.Store
	mu   *sync.Mutex
	seen map[store.Partition]bool
}

func (n noting) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	n.mu.Lock()
	n.seen[p] = true
	n.mu.Unlock()
	return n.Store.Commit(ctx, p, b)
}

type random struct{}

func (random) Read(b []byte) (int, error) { return copy(b, tw.Random(len(b))), nil }

// Logs hold no handle, id, address or secret, in no spelling.
func TestLogs(t *testing.T) {
	w := tw.New(t, nil)
	secrets, private := populate(t, w)
	log := w.Log.Bytes()
	if len(log) == 0 {
		t.Fatal("nothing was logged: the test sees nothing")
	}
	for i, s := range append(secrets, private...) {
		for _, spelled := range [][]byte{s, []byte(hex.EncodeToString(s)), []byte(base64.RawURLEncoding.EncodeToString(s)), []byte(base64.StdEncoding.EncodeToString(s))} {
			if bytes.Contains(log, spelled) {
				t.Errorf("secret %d is in the log: %s", i, log)
			}
		}
	}
}
