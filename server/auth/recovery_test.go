package auth_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// recovering begins a recovery and returns a client with its session.
func recovering(t *testing.T, d *tw.Device, code capsule.RecoveryCode) (*resealv1.StartRecoveryRequest, *resealv1.StartRecoveryResponse, tw.Client, error) {
	t.Helper()
	other := d.NewDevice()
	other.Session = opaque.SessionSecretOf([32]byte(tw.Random(32)))
	hash, auth := other.Session.Hash(), code.Auth().Bytes()
	req := &resealv1.StartRecoveryRequest{Handle: string(d.Handle), RecoveryAuth: auth[:], SessionHash: hash[:]}
	resp, err := d.W.Client("").StartRecovery(ctx, req)
	return req, resp, d.W.Client(other.Token()), err
}

// notices are what waits in a device's queue of the account's life.
func notices(t *testing.T, d *tw.Device) (all []records.Notice) {
	t.Helper()
	p := records.DayPartition(d.Account.ID, d.W.Time().Day())
	prefix := records.QueueOf(d.ID)
	for rec, err := range store.Scan(ctx, d.W.Store, p, prefix, store.PrefixEnd(prefix), false) {
		if err != nil {
			t.Fatal(err)
		}
		e := tw.Must[records.Entry](t)(records.ParseEntry(rec.Value))
		if e.Kind == records.EntryNotice {
			all = append(all, tw.Must[records.Notice](t)(records.ParseNotice(e.Extra)))
		}
	}
	return all
}

func TestRecovery(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	second := d.Join()
	wrong := tw.Must[capsule.RecoveryCode](t)(capsule.NewRecoveryCode(bytes.NewReader(tw.Random(16))))
	var texts []string
	_, _, _, err := recovering(t, d, wrong)
	tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
	texts = append(texts, err.Error())
	auth := d.Code.Auth().Bytes()
	_, err = w.Client("").StartRecovery(ctx, &resealv1.StartRecoveryRequest{Handle: "nobody", RecoveryAuth: auth[:], SessionHash: tw.Random(32)})
	tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
	if texts = append(texts, err.Error()); texts[0] != texts[1] {
		t.Errorf("a wrong code and an unknown handle differ: %q", texts)
	}
	for _, dev := range []*tw.Device{d, second} { // after the answer
		for n := 0; n < 2000 && len(notices(t, dev)) == 0; n++ {
			time.Sleep(10 * time.Millisecond)
		}
		if n := notices(t, dev); len(n) != 1 || n[0].What != uint8(resealv1.AccountNotice_WHAT_RECOVERY_TRIED) {
			t.Errorf("told of the wrong code: %v", n)
		}
	}
	for name, r := range map[string]*resealv1.StartRecoveryRequest{
		"handle":  {Handle: "Alice", RecoveryAuth: auth[:], SessionHash: tw.Random(32)},
		"auth":    {Handle: "alice", RecoveryAuth: auth[:31], SessionHash: tw.Random(32)},
		"session": {Handle: "alice", RecoveryAuth: auth[:], SessionHash: tw.Random(31)},
	} {
		_, err := w.Client("").StartRecovery(ctx, r)
		t.Log(name)
		tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	}

	req, resp, c, err := recovering(t, d, d.Code)
	if err != nil {
		t.Fatal(err)
	}
	if again := tw.Must[*resealv1.StartRecoveryResponse](t)(w.Client("").StartRecovery(ctx, req)); !proto.Equal(again, resp) {
		t.Error("a repeat answers otherwise")
	}
	if !bytes.Equal(resp.AccountId, d.Account.ID[:]) || !bytes.Equal(resp.List, d.List.Bytes()) || len(resp.Root) != capsule.RootSize || len(resp.Certificates) != 2 {
		t.Errorf("%v", resp)
	}
	next := tw.Must[capsule.RecoveryCode](t)(capsule.NewRecoveryCode(bytes.NewReader(tw.Random(16))))
	hash := next.Auth().Hash()
	renewed := &resealv1.NewRecovery{RecoveryAuth: auth[:], RecoveryAuthHash: hash[:], Root: d.Root(next)}

	// Who has the password and not the code cannot put another code in place.
	_, _, thief, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	stolen := change(t, d, thief, newPassword)
	stolen.Recovery = proto.CloneOf(renewed)
	stolen.Recovery.RecoveryAuth = tw.Random(32)
	_, err = thief.ChangePassword(ctx, stolen)
	tw.Refused(t, err, resealv1.Reason_REASON_PROOF)
	short := change(t, d, c, newPassword)
	short.Recovery = proto.CloneOf(renewed)
	short.Recovery.Root = short.Recovery.Root[1:]
	_, err = c.ChangePassword(ctx, short)
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)

	good := change(t, d, c, newPassword)
	good.KeepSession, good.Recovery = nil, renewed
	for range 2 {
		if done := tw.Must[*resealv1.ChangePasswordResponse](t)(c.ChangePassword(ctx, good)); done.Credential != 2 {
			t.Errorf("%v", done)
		}
	}
	tw.Refused(t, alive(d.C), resealv1.Reason_REASON_SESSION_ENDED)
	if n := notices(t, second); len(n) != 2 || !slices.ContainsFunc(n, func(n records.Notice) bool { return n.What == uint8(resealv1.AccountNotice_WHAT_RECOVERED) }) {
		t.Errorf("told of the recovery: %v", n)
	}
	if _, _, _, err := recovering(t, d, d.Code); err == nil {
		t.Error("the code that was replaced still works")
	}
	_, resp, _, err = recovering(t, d, next)
	if err != nil || !bytes.Equal(resp.Root, renewed.Root) {
		t.Errorf("the new code: %v", err)
	}
}

// A wrong code at a handle and any code at one that nobody has are answered after
// the same reads, and before anybody is told.
func TestRecoveryTakesAsLongForNobody(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	release := make(chan struct{})
	w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
		<-release
		return memory.Known
	})
	reads := map[string]uint64{}
	for _, h := range []string{"alice", "nobody"} {
		before := w.Store.Examined()
		_, err := w.Client("").StartRecovery(ctx, &resealv1.StartRecoveryRequest{Handle: h, RecoveryAuth: tw.Random(32), SessionHash: tw.Random(32)})
		tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
		reads[h] = w.Store.Examined() - before
	}
	if reads["alice"] != reads["nobody"] {
		t.Errorf("reads: %v", reads)
	}
	close(release)
	for n := 0; len(notices(t, d)) == 0; n++ {
		if n == 2000 {
			t.Fatal("the account was not told")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestRecoveryRates(t *testing.T) {
	l := limits.Default()
	w := tw.New(t, func(c *server.Config) { c.Limits = &l })
	c := w.Client("")
	try := func(h string) error {
		_, err := c.StartRecovery(ctx, &resealv1.StartRecoveryRequest{Handle: h, RecoveryAuth: tw.Random(32), SessionHash: tw.Random(32)})
		return err
	}
	for range l.Rates[limits.RecoveryHandle].Burst {
		tw.Refused(t, try("nobody"), resealv1.Reason_REASON_LOGIN_FAILED)
	}
	tw.Refused(t, try("nobody"), resealv1.Reason_REASON_RATE)
	tw.Refused(t, try("somebody"), resealv1.Reason_REASON_LOGIN_FAILED)
	w.Pass(61 * time.Second)
	tw.Refused(t, try("nobody"), resealv1.Reason_REASON_LOGIN_FAILED)
}
