package server_test

import (
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/admin"
)

// operator is a client of a world's server over a unix socket.
func operator(t *testing.T, w *tw.World) resealv1connect.AdminServiceClient {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Server.ServeAdmin(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return resealv1connect.NewAdminServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: tr}, "http://admin")))
}

func TestAdminInvites(t *testing.T) {
	w := tw.New(t, func(c *server.Config) { c.Signup = resealv1.Signup_SIGNUP_INVITE })
	op := operator(t, w)
	end := uint64(w.Time().Add(time.Hour))
	made := tw.Must[*resealv1.CreateInvitesResponse](t)(op.CreateInvites(ctx, &resealv1.CreateInvitesRequest{Count: 3, EndsMs: end}))
	code, err := invite.Parse(made.Invites[0].Code)
	if err != nil {
		t.Fatal(err)
	}
	list := func() (open, used int) {
		for _, i := range tw.Must[*resealv1.ListInvitesResponse](t)(op.ListInvites(ctx, &resealv1.ListInvitesRequest{})).Invites {
			if open++; i.Used {
				open, used = open-1, used+1
			}
			if i.EndsMs != end {
				t.Errorf("ends at %d", i.EndsMs)
			}
		}
		return open, used
	}
	w.Invite = code.Bytes()
	w.Account("alice")
	if open, used := list(); open != 2 || used != 1 {
		t.Errorf("%d open, %d used", open, used)
	}
	_, err = op.RevokeInvite(ctx, &resealv1.RevokeInviteRequest{Id: made.Invites[0].Id})
	tw.Refused(t, err, resealv1.Reason_REASON_CONFLICT)
	tw.Must[*resealv1.RevokeInviteResponse](t)(op.RevokeInvite(ctx, &resealv1.RevokeInviteRequest{Id: made.Invites[1].Id}))
	_, err = op.RevokeInvite(ctx, &resealv1.RevokeInviteRequest{Id: made.Invites[1].Id})
	tw.Refused(t, err, resealv1.Reason_REASON_INVITE)
	if open, used := list(); open != 1 || used != 1 {
		t.Errorf("%d open, %d used", open, used)
	}
	withdrawn, err := invite.Parse(made.Invites[1].Code)
	if err != nil {
		t.Fatal(err)
	}
	_, req := w.Signup("bob", "")
	req.Invite = withdrawn.Bytes()
	_, err = w.Client("").FinishSignup(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_INVITE)
	w.Pass(2 * time.Hour)
	if open, used := list(); open != 0 || used != 0 {
		t.Errorf("after their end: %d open, %d used", open, used)
	}
	for name, req := range map[string]*resealv1.CreateInvitesRequest{
		"none": {EndsMs: end + 1<<40}, "too many": {Count: admin.MaxInvites + 1, EndsMs: uint64(w.Time().Add(time.Hour))},
		"in the past": {Count: 1, EndsMs: end}, "too long": {Count: 1, EndsMs: uint64(w.Time().Add(admin.MaxInviteLife)) + 1},
	} {
		_, err := op.CreateInvites(ctx, req)
		if tw.Refused(t, err, resealv1.Reason_REASON_LIMIT); t.Failed() {
			t.Fatal(name)
		}
	}
	// No code is where it must not be.
	log := string(w.Log.Bytes())
	for _, i := range made.Invites {
		if strings.Contains(log, i.Code) || strings.Contains(log, hex.EncodeToString(i.Id)) {
			t.Error("an invite is in the log")
		}
	}
}

func TestAdminAccounts(t *testing.T) {
	w := tw.New(t, nil)
	op := operator(t, w)
	const password = "correct horse battery staple"
	alice, bob := w.SignUp("alice", password), w.Account("bob")
	alice.Join()
	alice.Send(bob.Account, nil)
	count := func(accounts, devices, sessions, held uint64) {
		t.Helper()
		r := tw.Must[*resealv1.CountAccountsResponse](t)(op.CountAccounts(ctx, &resealv1.CountAccountsRequest{}))
		if r.Accounts != accounts || r.Devices != devices || r.Sessions != sessions || r.HeldHandles != held {
			t.Errorf("%v", r)
		}
	}
	count(2, 3, 3, 0)
	one := tw.Must[*resealv1.DescribeAccountResponse](t)(op.DescribeAccount(ctx, &resealv1.DescribeAccountRequest{Handle: "bob"}))
	if one.Devices != 1 || one.Sessions != 1 || one.Messages != 1 || one.LastSeenMs == 0 || string(one.AccountId) != string(bob.Account.ID[:]) {
		t.Errorf("%v", one)
	}
	// Sessions end at once, and the devices can log in again.
	events, _ := alice.Events()
	ended := tw.Must[*resealv1.EndSessionsResponse](t)(op.EndSessions(ctx, &resealv1.EndSessionsRequest{Handle: "alice"}))
	if ended.Ended != 2 {
		t.Errorf("%d sessions ended", ended.Ended)
	}
	tw.Refused(t, events.End(), resealv1.Reason_REASON_SESSION_ENDED)
	_, err := alice.C.GetBook(ctx, &resealv1.GetBookRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	count(2, 3, 1, 0)
	_, _, c, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	// A deleted account is gone, with its sessions, and its handle is held.
	tw.Must[*resealv1.DeleteAccountResponse](t)(op.DeleteAccount(ctx, &resealv1.DeleteAccountRequest{Handle: "alice"}))
	_, err = c.GetBook(ctx, &resealv1.GetBookRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	if _, _, _, err := w.Login("alice", password); err == nil {
		t.Error("a deleted account can log in")
	}
	_, err = bob.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: "alice"})
	tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	count(1, 1, 1, 1)
	for _, handle := range []string{"alice", "nobody"} {
		_, err = op.EndSessions(ctx, &resealv1.EndSessionsRequest{Handle: handle})
		tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
		_, err = op.DeleteAccount(ctx, &resealv1.DeleteAccountRequest{Handle: handle})
		tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
		_, err = op.DescribeAccount(ctx, &resealv1.DescribeAccountRequest{Handle: handle})
		tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	}
	if log := string(w.Log.Bytes()); strings.Contains(log, "alice") {
		t.Error("a handle is in the log")
	}
}

// Clients cannot reach the operator's calls.
func TestAdminIsNotForClients(t *testing.T) {
	w, url, _ := listening(t, nil)
	alice := w.Account("alice")
	for name, token := range map[string]string{"no session": "", "a session": alice.Token()} {
		c := resealv1connect.NewAdminServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: bearer(token)}, url)))
		if _, err := c.CountAccounts(ctx, &resealv1.CountAccountsRequest{}); connect.CodeOf(err) != connect.CodeUnimplemented {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bearer adds a session to every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b != "" {
		r.Header.Set("Authorization", "Bearer "+string(b))
	}
	return http.DefaultTransport.RoundTrip(r)
}
