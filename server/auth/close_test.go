package auth_test

import (
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/server/auth"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

func left(t *testing.T, w *tw.World, p store.Partition) (keys []store.Key) {
	t.Helper()
	for rec, err := range store.Scan(ctx, w.Store, p, "", "", false) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, rec.Key)
	}
	return keys
}

func TestCloseAccount(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	d.Join()
	bob := w.Account("bob")
	m, _ := bob.Send(d.Account, nil)
	sent, _ := d.Send(bob.Account, nil)
	_, err := d.C.CloseAccount(ctx, &resealv1.CloseAccountRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_PROOF)
	_, _, c, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	// The store fails somewhere in the middle: the account can be closed again,
	// by the same session or after another login.
	n := 0
	w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
		if n++; n > 3 {
			return memory.Never
		}
		return memory.Known
	})
	_, err = c.CloseAccount(ctx, &resealv1.CloseAccountRequest{})
	w.Outcomes(nil)
	tw.Refused(t, err, resealv1.Reason_REASON_UNAVAILABLE)
	if _, _, c, err = w.Login("alice", password); err != nil {
		t.Fatalf("after a close that was cut off: %v", err)
	}
	tw.Must[*resealv1.CloseAccountResponse](t)(c.CloseAccount(ctx, &resealv1.CloseAccountRequest{}))
	_, err = c.CloseAccount(ctx, &resealv1.CloseAccountRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	tw.Refused(t, alive(d.C), resealv1.Reason_REASON_SESSION_ENDED)
	_, err = bob.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: "alice"})
	tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	w.Pass(time.Minute)
	for _, p := range []store.Partition{records.AccountPartition(d.Account.ID), records.MessagePartition(d.Account.ID, m.Header.ID)} {
		if keys := left(t, w, p); len(keys) != 0 {
			t.Errorf("left: %q", keys)
		}
	}
	// What it sent is its recipient's.
	if _, err := w.Store.Get(ctx, records.MessagePartition(bob.Account.ID, sent.Header.ID), records.MessageKey(sent.Header.ID)); err != nil {
		t.Errorf("what it sent: %v", err)
	}
	// Not even the same account comes back under its handle before 30 days.
	_, req := w.Signup("carol", "")
	req.Handle = "alice"
	_, err = w.Client("").FinishSignup(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_HANDLE_TAKEN)
	w.Pass(auth.HandleHeld)
	_, req = w.Signup("alice", password)
	tw.Must[*resealv1.FinishSignupResponse](t)(w.Client("").FinishSignup(ctx, req))
}
