package auth_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store"
)

const password = "correct horse battery"

func TestLoginBindAndRepeat(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	resp, req, c, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(resp.List, d.List.Bytes()) || len(resp.Certificates) != 1 || resp.Credential != 1 || resp.Revision != d.Revision {
		t.Errorf("%v", resp)
	}
	again := tw.Must[*resealv1.FinishLoginResponse](t)(w.Client("").FinishLogin(ctx, req))
	if !proto.Equal(resp, again) {
		t.Error("a repeat answers otherwise")
	}
	// Not bound: only what comes before binding.
	_, err = c.GetSessionShare(ctx, &resealv1.GetSessionShareRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_NO_DEVICE)
	_, err = c.Mailbox.ReadDay(ctx, &resealv1.ReadDayRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_NO_DEVICE)
	if got := tw.Must[*resealv1.GetSharesResponse](t)(c.GetShares(ctx, &resealv1.GetSharesRequest{Row: d.Row[:]})); len(got.Shares) != 1 {
		t.Errorf("%v", got)
	}
	sign := func(k identity.DeviceKey, session []byte) []byte {
		sig := k.Sign(identity.NameSession, identity.SessionBinding(d.Account.ID, d.ID, [32]byte(session)))
		return sig[:]
	}
	bad, err := identity.NewDeviceKey(bytes.NewReader(tw.Random(32)))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*resealv1.BindSessionRequest{
		"other key":     {DeviceId: d.ID[:], Row: d.Row[:], Signature: sign(bad, req.SessionHash)},
		"other session": {DeviceId: d.ID[:], Row: d.Row[:], Signature: sign(d.Key, tw.Random(32))},
		"other device":  {DeviceId: tw.Random(16), Row: d.Row[:], Signature: sign(d.Key, req.SessionHash)},
	} {
		_, err = c.BindSession(ctx, b)
		if t.Log(name); err == nil {
			t.Fatal("bound")
		}
		tw.Refused(t, err, resealv1.Reason_REASON_PROOF)
	}
	bind := &resealv1.BindSessionRequest{DeviceId: d.ID[:], Row: d.Row[:], Signature: sign(d.Key, req.SessionHash)}
	one := tw.Must[*resealv1.BindSessionResponse](t)(c.BindSession(ctx, bind))
	two := tw.Must[*resealv1.BindSessionResponse](t)(c.BindSession(ctx, bind))
	half := tw.Must[*resealv1.GetSessionShareResponse](t)(c.GetSessionShare(ctx, &resealv1.GetSessionShareRequest{}))
	if !bytes.Equal(one.SessionShare, two.SessionShare) || !bytes.Equal(one.SessionShare, half.SessionShare) || bytes.Equal(one.SessionShare, d.Half) {
		t.Error("session shares are wrong")
	}
}

// A wrong password and an unknown handle must look alike: sizes, and the error
// byte for byte.
func TestWrongPasswordIsUnknownHandle(t *testing.T) {
	w := tw.New(t, nil)
	w.SignUp("alice", password)
	c := w.Client("")
	var texts []string
	for _, h := range []string{"alice", "nobod"} {
		l, ke1, err := opaque.StartLogin(must(t, h), []byte("wrong horse battery"))
		if err != nil {
			t.Fatal(err)
		}
		ke2 := tw.Must[*resealv1.StartLoginResponse](t)(c.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: h, Ke1: ke1}))
		if _, err := l.Finish(ke2.Ke2); !errors.Is(err, opaque.ErrLogin) {
			t.Fatalf("%s: the client says %v", h, err)
		}
		_, err = c.FinishLogin(ctx, &resealv1.FinishLoginRequest{State: ke2.State, Ke3: tw.Random(opaque.KE3Size), SessionHash: make([]byte, 32)})
		tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
		texts = append(texts, err.Error())
		if len(ke2.Ke2) != opaque.KE2Size {
			t.Errorf("%s: KE2 of %d bytes", h, len(ke2.Ke2))
		}
		texts = append(texts, string(rune(len(ke2.State))))
	}
	if texts[0] != texts[2] || texts[1] != texts[3] {
		t.Errorf("%q", texts)
	}
	_, err := c.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: "alice", Ke1: tw.Random(95)})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	_, err = c.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: "nobody", Ke1: tw.Random(95)})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
}

func TestLoginExpiresAndIsNotReplayed(t *testing.T) {
	w := tw.New(t, nil)
	w.SignUp("alice", password)
	_, req, c, err := w.Login("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	tw.Must[*resealv1.EndSessionResponse](t)(c.EndSession(ctx, &resealv1.EndSessionRequest{}))
	if _, err := w.Client("").FinishLogin(ctx, req); err == nil {
		t.Error("an ended session came back by repeating its login")
	}
	_, err = c.GetShares(ctx, &resealv1.GetSharesRequest{Row: make([]byte, 32)})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	w.Pass(opaque.LoginStateLife + time.Minute)
	_, err = w.Client("").FinishLogin(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_LOGIN_FAILED)
}

// A change by another device between the server's read and its commit must not
// fail a login.
func TestLoginBesideOtherChanges(t *testing.T) {
	w := tw.New(t, nil)
	d := w.SignUp("alice", password)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			s := d.APIShare()
			s.ShareId = tw.Random(16)
			rev, err := d.C.GetShares(ctx, &resealv1.GetSharesRequest{Row: d.Row[:]})
			if err == nil {
				_, _ = d.C.PutShare(ctx, &resealv1.PutShareRequest{Revision: rev.Revision, Share: s, CurrentShareId: d.Share[:]})
			}
		}
	}()
	for range 5 {
		if _, _, _, err := w.Login("alice", password); err != nil {
			t.Errorf("%v", err)
		}
	}
	close(stop)
	<-done
}

func TestLoginRates(t *testing.T) {
	d := limits.Default()
	w := tw.New(t, func(c *server.Config) { c.Limits = &d })
	c := w.Client("")
	_, ke1, err := opaque.StartLogin(must(t, "nobody"), []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Rates[limits.LoginHandle].Burst {
		if _, err := c.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: "nobody", Ke1: ke1}); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	_, err = c.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: "nobody", Ke1: ke1})
	tw.Refused(t, err, resealv1.Reason_REASON_RATE)
	if _, err := c.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: "somebody", Ke1: ke1}); err != nil {
		t.Errorf("another handle: %v", err)
	}
	w.Pass(6 * time.Second)
	if _, err := c.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: "nobody", Ke1: ke1}); err != nil {
		t.Errorf("after 6 s: %v", err)
	}
}

// A session of an older password is dead.
func TestCredentialNumberEndsSessions(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	p := records.AccountPartition(d.Account.ID)
	rec := tw.Must[store.Record](t)(w.Store.Get(ctx, p, records.Pw))
	pw := tw.Must[records.Password](t)(records.ParsePassword(rec.Value))
	pw.Credential++
	if err := w.Store.Commit(ctx, p, new(store.Batch).Replace(records.Pw, rec.Rev, pw.Encode(), store.Token{1}, 0)); err != nil {
		t.Fatal(err)
	}
	w.Pass(3 * time.Second) // the cache's life
	_, err := d.C.GetBook(ctx, &resealv1.GetBookRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
}

func TestTokens(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	other := w.Account("bob")
	good := d.Token()
	mixed := other.Token()[:22] + good[22:]
	for _, token := range []string{"", "x", good + "A", good[:len(good)-1], mixed, good[:len(good)-4] + "AAAA"} {
		_, err := w.Client(token).GetBook(ctx, &resealv1.GetBookRequest{})
		tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	}
}
