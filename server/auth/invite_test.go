package auth_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// byInvite is a world whose server takes accounts by invite; somebody is there
// already, who can look for others.
func byInvite(t *testing.T) (*tw.World, *tw.Device) {
	w := tw.New(t, func(c *server.Config) { c.Signup = resealv1.Signup_SIGNUP_INVITE })
	w.Invite = w.NewInvite(time.Hour)
	return w, w.Account("watcher")
}

// there tells whether a handle names an account.
func there(t *testing.T, watcher *tw.Device, handle string) bool {
	t.Helper()
	_, err := watcher.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: handle})
	if err != nil {
		tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	}
	return err == nil
}

func TestInvite(t *testing.T) {
	w, watcher := byInvite(t)
	c := w.Client("")
	info := tw.Must[*resealv1.ServerInfoResponse](t)(c.ServerInfo(ctx, &resealv1.ServerInfoRequest{}))
	if info.Signup != resealv1.Signup_SIGNUP_INVITE {
		t.Errorf("the server tells %v", info.Signup)
	}
	ended := w.NewInvite(time.Hour)
	w.Pass(time.Hour)
	good, withdrawn := w.NewInvite(time.Hour), w.NewInvite(time.Hour)
	code, err := invite.Of(withdrawn)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := w.Store.Get(ctx, records.InvitePartition, records.InviteKey(code.Hash()))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Store.Commit(ctx, records.InvitePartition, new(store.Batch).RevIs(rec.Key, rec.Rev).Gone(rec.Key, store.Token{1}, 0)); err != nil {
		t.Fatal(err)
	}
	_, req := w.Signup("alice", "")
	for name, code := range map[string][]byte{
		"none": nil, "unknown": tw.Random(invite.Size), "short": good[1:], "long": append([]byte{0}, good...),
		"used": w.Invite, "ended": ended, "withdrawn": withdrawn,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.StartSignup(ctx, &resealv1.StartSignupRequest{Handle: "alice", RegistrationRequest: tw.Random(32), AccountId: tw.Random(16), Invite: code})
			tw.Refused(t, err, resealv1.Reason_REASON_INVITE)
			r := proto.Clone(req).(*resealv1.FinishSignupRequest)
			r.Invite = code
			_, err = c.FinishSignup(ctx, r)
			tw.Refused(t, err, resealv1.Reason_REASON_INVITE)
			if _, err := w.Store.Get(ctx, records.AccountPartition([16]byte(r.AccountId)), records.Pw); err != store.ErrAbsent {
				t.Errorf("records were made: %v", err)
			}
		})
	}
	req.Invite = good
	first := tw.Must[*resealv1.FinishSignupResponse](t)(c.FinishSignup(ctx, req))
	// A repeat, also after the invite's end, is answered like the first.
	w.Pass(2 * time.Hour)
	if again := tw.Must[*resealv1.FinishSignupResponse](t)(c.FinishSignup(ctx, req)); !proto.Equal(first, again) {
		t.Error("a repeat is answered otherwise")
	}
	if !there(t, watcher, "alice") {
		t.Error("alice is not there")
	}
}

// An open server takes no notice of codes.
func TestInviteNotNeeded(t *testing.T) {
	w := tw.New(t, nil)
	code := w.NewInvite(time.Hour)
	for range 2 {
		w.Invite = code
		w.Account(fmt.Sprintf("a%x", tw.Random(4)))
	}
}

// Many sign-ups race for one invite: one has it.
func TestInviteRace(t *testing.T) {
	w, watcher := byInvite(t)
	w.Invite = w.NewInvite(time.Hour)
	const n = 8
	done := make(chan error, n)
	for i := range n {
		_, req := w.Signup(fmt.Sprintf("racer%d", i), "")
		go func() { _, err := w.Client("").FinishSignup(ctx, req); done <- err }()
	}
	won := 0
	for range n {
		if err := <-done; err == nil {
			won++
		} else {
			tw.Refused(t, err, resealv1.Reason_REASON_INVITE)
		}
	}
	found := 0
	for i := range n {
		if there(t, watcher, fmt.Sprintf("racer%d", i)) {
			found++
		}
	}
	if won != 1 || found != 1 {
		t.Errorf("%d were told that they have it, %d are there", won, found)
	}
}

// A sign-up is cut at each of its commits, which took effect or did not. Then
// another person presents the code, or the first client comes back, in either
// order: in the end the code has given one account, and that one can be reached.
func TestInviteCrash(t *testing.T) {
	for step, p := range map[string]func(d *tw.Device) store.Partition{
		"records": func(d *tw.Device) store.Partition { return records.AccountPartition(d.Account.ID) },
		"invite":  func(*tw.Device) store.Partition { return records.InvitePartition },
		"handle":  func(*tw.Device) store.Partition { return records.HandlePartition("alice") },
	} {
		for how, outcome := range map[string]memory.Outcome{"never": memory.Never, "now": memory.Now, "later": memory.Later} {
			for _, back := range []string{"nobody", "first", "other", "other, then first"} {
				t.Run(step+" "+how+", "+back+" comes", func(t *testing.T) {
					w, watcher := byInvite(t)
					w.Invite = w.NewInvite(time.Hour)
					alice, req := w.Signup("alice", "")
					bob, other := w.Signup("bob", "")
					cut := p(alice)
					w.Outcomes(func(p store.Partition, _ *store.Batch) memory.Outcome {
						if p == cut {
							return outcome
						}
						return memory.Known
					})
					_, err := w.Client("").FinishSignup(ctx, req)
					w.Outcomes(nil)
					if err == nil && outcome != memory.Now {
						t.Fatal("not cut")
					}
					c := w.Client("")
					if back == "first" {
						tw.Must[*resealv1.FinishSignupResponse](t)(c.FinishSignup(ctx, req))
					}
					if back != "nobody" {
						_, _ = c.StartSignup(ctx, &resealv1.StartSignupRequest{
							Handle: "bob", RegistrationRequest: tw.Random(32), AccountId: bob.Account.ID[:], Invite: w.Invite,
						})
						_, bobs := c.FinishSignup(ctx, other)
						if (bobs == nil) != there(t, watcher, "bob") {
							t.Errorf("bob was told %v", bobs)
						}
					}
					w.Store.Release() // what was unknown happens now, if it still can
					if back == "other, then first" {
						_, alices := c.FinishSignup(ctx, req)
						if (alices == nil) != there(t, watcher, "alice") {
							t.Errorf("alice was told %v", alices)
						}
					}
					_, bobs := c.FinishSignup(ctx, other) // the last who tries has it, if nobody has
					if a, b := there(t, watcher, "alice"), there(t, watcher, "bob"); a == b {
						t.Errorf("alice: %v, bob: %v (%v)", a, b, bobs)
					}
				})
			}
		}
	}
}

// An account that has the mark and can never have its handle gives the invite
// back; one that was closed does not.
func TestInviteMark(t *testing.T) {
	w, watcher := byInvite(t)
	w.Invite = w.NewInvite(time.Hour)
	_, req := w.Signup("alice", "")
	w.Outcomes(func(p store.Partition, _ *store.Batch) memory.Outcome {
		if p == records.HandlePartition("alice") {
			return memory.Never
		}
		return memory.Known
	})
	_, err := w.Client("").FinishSignup(ctx, req)
	w.Outcomes(nil)
	tw.Refused(t, err, resealv1.Reason_REASON_UNAVAILABLE)
	contested := w.Invite
	w.Invite = w.NewInvite(time.Hour)
	w.Account("alice") // another one
	w.Invite = contested
	w.SignUp("bob", password)
	_, err = w.Client("").FinishSignup(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_INVITE)
	_, _, c, err := w.Login("bob", password)
	if err != nil {
		t.Fatal(err)
	}
	tw.Must[*resealv1.CloseAccountResponse](t)(c.CloseAccount(ctx, &resealv1.CloseAccountRequest{}))
	_, late := w.Signup("cleo", "")
	_, err = w.Client("").FinishSignup(ctx, late)
	tw.Refused(t, err, resealv1.Reason_REASON_INVITE)
	if there(t, watcher, "bob") || there(t, watcher, "cleo") {
		t.Error("the invite of a closed account gave another")
	}
}
