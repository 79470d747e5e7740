package auth_test

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
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

var ctx = context.Background()

func TestSignupAndItsRepeat(t *testing.T) {
	w := tw.New(t, nil)
	d, req := w.Signup("alice", "")
	c := w.Client("")
	first := tw.Must[*resealv1.FinishSignupResponse](t)(c.FinishSignup(ctx, req))
	again := tw.Must[*resealv1.FinishSignupResponse](t)(c.FinishSignup(ctx, req))
	if !proto.Equal(first, again) {
		t.Errorf("a repeat answers %v, first %v", again, first)
	}
	share := tw.Must[*resealv1.GetSessionShareResponse](t)(d.C.GetSessionShare(ctx, &resealv1.GetSessionShareRequest{}))
	if !bytes.Equal(share.SessionShare, first.SessionShare) {
		t.Error("another session share than at sign-up")
	}
	b := tw.Must[*resealv1.GetBookResponse](t)(d.C.GetBook(ctx, &resealv1.GetBookRequest{}))
	if !proto.Equal(b.Book, req.Book) {
		t.Error("the book is not what was put")
	}
}

// A crash between the account's records and its handle: the same bytes finish
// it, also when the challenge and the times are old by then.
func TestSignupCrashBeforeHandle(t *testing.T) {
	for name, outcome := range map[string]memory.Outcome{"never": memory.Never, "now": memory.Now} {
		t.Run(name, func(t *testing.T) {
			w := tw.New(t, nil)
			d, req := w.Signup("alice", "")
			w.Outcomes(func(p store.Partition, _ *store.Batch) memory.Outcome {
				if p == records.HandlePartition("alice") {
					return outcome
				}
				return memory.Known
			})
			_, err := w.Client("").FinishSignup(ctx, req)
			w.Outcomes(nil)
			if outcome == memory.Never {
				tw.Refused(t, err, resealv1.Reason_REASON_UNAVAILABLE)
				other := w.Account("bob")
				_, err := other.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: "alice"})
				tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
			}
			w.Pass(26 * time.Hour)
			got := tw.Must[*resealv1.FinishSignupResponse](t)(w.Client("").FinishSignup(ctx, req))
			if len(got.SessionShare) != 32 || got.Revision == 0 {
				t.Errorf("%v", got)
			}
			look := tw.Must[*resealv1.LookupResponse](t)(d.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: "alice"}))
			if !bytes.Equal(look.Account.AccountId, d.Account.ID[:]) {
				t.Error("the handle names another account")
			}
		})
	}
}

func TestHandleTaken(t *testing.T) {
	w := tw.New(t, nil)
	_, late := w.Signup("alice", "")
	owner := w.SignUp("alice", "correct horse battery")
	_, err := w.Client("").FinishSignup(ctx, late)
	tw.Refused(t, err, resealv1.Reason_REASON_HANDLE_TAKEN)
	for _, id := range []identity.AccountID{owner.Account.ID, {9}} {
		_, err = w.Client("").StartSignup(ctx, &resealv1.StartSignupRequest{Handle: "alice", RegistrationRequest: tw.Random(32), AccountId: id[:]})
		tw.Refused(t, err, resealv1.Reason_REASON_HANDLE_TAKEN)
	}
}

// Two sign-ups race for a handle: one has it, and the other account is
// unreachable.
func TestHandleRace(t *testing.T) {
	w := tw.New(t, nil)
	_, a := w.Signup("alice", "")
	_, b := w.Signup("alice", "")
	done := make(chan error, 2)
	for _, req := range []*resealv1.FinishSignupRequest{a, b} {
		go func() { _, err := w.Client("").FinishSignup(ctx, req); done <- err }()
	}
	e1, e2 := <-done, <-done
	if (e1 == nil) == (e2 == nil) {
		t.Fatalf("%v, %v", e1, e2)
	}
	if e1 == nil {
		e1 = e2
	}
	tw.Refused(t, e1, resealv1.Reason_REASON_HANDLE_TAKEN)
}

func TestSignupRefusals(t *testing.T) {
	w := tw.New(t, nil)
	_, good := w.Signup("alice", "")
	other, _ := w.Signup("mallory", "")
	for name, c := range map[string]struct {
		change func(*resealv1.FinishSignupRequest)
		want   resealv1.Reason
	}{
		"handle in capitals":    {func(r *resealv1.FinishSignupRequest) { r.Handle = "Alice" }, resealv1.Reason_REASON_MALFORMED},
		"handle empty":          {func(r *resealv1.FinishSignupRequest) { r.Handle = "" }, resealv1.Reason_REASON_MALFORMED},
		"account id":            {func(r *resealv1.FinishSignupRequest) { r.AccountId = r.AccountId[:15] }, resealv1.Reason_REASON_MALFORMED},
		"another's account id":  {func(r *resealv1.FinishSignupRequest) { r.AccountId = other.Account.ID[:] }, resealv1.Reason_REASON_MALFORMED},
		"record":                {func(r *resealv1.FinishSignupRequest) { r.OpaqueRecord = r.OpaqueRecord[1:] }, resealv1.Reason_REASON_MALFORMED},
		"no capsule":            {func(r *resealv1.FinishSignupRequest) { r.Capsules.Capsule = nil }, resealv1.Reason_REASON_MALFORMED},
		"no capsules":           {func(r *resealv1.FinishSignupRequest) { r.Capsules = nil }, resealv1.Reason_REASON_MALFORMED},
		"large copy":            {func(r *resealv1.FinishSignupRequest) { r.Capsules.Copy = make([]byte, 2000) }, resealv1.Reason_REASON_MALFORMED},
		"recovery hash":         {func(r *resealv1.FinishSignupRequest) { r.RecoveryAuthHash = nil }, resealv1.Reason_REASON_MALFORMED},
		"list":                  {func(r *resealv1.FinishSignupRequest) { r.List[40] ^= 1 }, resealv1.Reason_REASON_MALFORMED},
		"no list":               {func(r *resealv1.FinishSignupRequest) { r.List = nil }, resealv1.Reason_REASON_MALFORMED},
		"certificate of others": {func(r *resealv1.FinishSignupRequest) { r.Certified = other.Certified(other.Newest()) }, resealv1.Reason_REASON_PROOF},
		"challenge unanswered":  {func(r *resealv1.FinishSignupRequest) { r.Certified.ChallengeAnswer[0] ^= 1 }, resealv1.Reason_REASON_PROOF},
		"no certificate":        {func(r *resealv1.FinishSignupRequest) { r.Certified = nil }, resealv1.Reason_REASON_MALFORMED},
		"share":                 {func(r *resealv1.FinishSignupRequest) { r.Share.Row = nil }, resealv1.Reason_REASON_MALFORMED},
		"session hash":          {func(r *resealv1.FinishSignupRequest) { r.SessionHash = append(r.SessionHash, 0) }, resealv1.Reason_REASON_MALFORMED},
		"large book":            {func(r *resealv1.FinishSignupRequest) { r.Book.Parts = make([][]byte, 50) }, resealv1.Reason_REASON_LIMIT},
		"book of many parts": {func(r *resealv1.FinishSignupRequest) {
			for range 30 {
				r.Book.Parts = append(r.Book.Parts, tw.Random(32<<10))
			}
		}, resealv1.Reason_REASON_LIMIT},
		"large part": {func(r *resealv1.FinishSignupRequest) { r.Book.Parts[0] = tw.Random(33 << 10) }, resealv1.Reason_REASON_LIMIT},
	} {
		t.Run(name, func(t *testing.T) {
			req := proto.Clone(good).(*resealv1.FinishSignupRequest)
			c.change(req)
			_, err := w.Client("").FinishSignup(ctx, req)
			tw.Refused(t, err, c.want)
		})
	}
	w.Pass(2 * time.Hour)
	_, err := w.Client("").FinishSignup(ctx, good)
	tw.Refused(t, err, resealv1.Reason_REASON_CLOCK)
	w.Pass(-2*time.Hour + 6*time.Minute)
	_, err = w.Client("").FinishSignup(ctx, good)
	tw.Refused(t, err, resealv1.Reason_REASON_PROOF) // the challenge is too old
}

func TestSignupClosed(t *testing.T) {
	w := tw.New(t, func(c *server.Config) { c.Signup = resealv1.Signup_SIGNUP_CLOSED })
	_, err := w.Client("").StartSignup(ctx, &resealv1.StartSignupRequest{Handle: "alice"})
	tw.Refused(t, err, resealv1.Reason_REASON_SIGNUP_CLOSED)
	_, req := w.Signup("alice", "")
	_, err = w.Client("").FinishSignup(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_SIGNUP_CLOSED)
}
