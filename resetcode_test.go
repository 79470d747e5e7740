package reseal_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/client"
)

// announce lets the operator announce a reset, over the socket that is theirs
// alone, and returns its code.
func announce(t *testing.T, w *world, handle string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	within, cancel := context.WithCancel(ctx(t))
	done := make(chan error, 1)
	go func() { done <- w.server.ServeAdmin(within, l) }()
	defer func() { cancel(); <-done }()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer tr.CloseIdleConnections()
	operator := resealv1connect.NewAdminServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: tr}, "http://admin")))
	resp, err := operator.AskAccountReset(within, &resealv1.AskAccountResetRequest{Handle: handle})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Code
}

// TestResetByTheOperator: everything is lost but the handle. All devices are
// told and can cancel; the code works a day later, on any installation; contacts
// are warned and hold until they agree.
func TestResetByTheOperator(t *testing.T) {
	w := newWorld(t)
	anaIn, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	awaitState(t, ana, keep(t, ben, "before", "ana"), client.IsReady)
	verify(t, ben, "ana")
	alarms := watch(t, ben, reseal.KindAlarm)
	seen := watch(t, ana, reseal.KindAccount)

	fresh := w.phone()
	by := func(code string) error {
		_, recovery, err := fresh.ResetByCode(ctx(t), "ana", code, []byte(other))
		if err != nil && recovery != (reseal.RecoveryCode{}) {
			t.Errorf("a code beside %v", err)
		}
		return err
	}
	if err := by("0000-0000"); !errors.Is(err, reseal.ErrResetCode) {
		t.Errorf("no code at all: %v", err)
	}
	code := announce(t, w, "ana")
	await(t, "the phone is told", func() bool { return told(seen, "reset_asked") })
	if e := seen()[0]; !e.Device.IsZero() || e.Due.IsZero() {
		t.Errorf("told %+v", e)
	}
	r, ok, err := ana.PendingReset(ctx(t))
	if !ok || err != nil || r.This || !r.Device.IsZero() {
		t.Errorf("%+v, %v, %v", r, ok, err)
	}
	var notDue *reseal.NotDueError
	if err := by(code); !errors.As(err, &notDue) || notDue.After < 23*time.Hour {
		t.Errorf("too early: %v", err)
	}
	if err := ana.CancelReset(ctx(t)); err != nil {
		t.Fatal(err)
	}
	w.pass(25 * time.Hour)
	if err := by(code); !errors.Is(err, reseal.ErrResetCode) {
		t.Errorf("cancelled: %v", err)
	}
	old := code
	code = announce(t, w, "ana")
	w.pass(24*time.Hour + time.Minute)
	if err := by(old); !errors.Is(err, reseal.ErrResetCode) {
		t.Errorf("the code of a reset that was cancelled: %v", err)
	}
	if _, err := ana.Reset(ctx(t), []byte(other)); !errors.Is(err, reseal.ErrNoReset) {
		t.Errorf("a device makes the operator's reset happen: %v", err)
	}
	again, recovery, err := fresh.ResetByCode(ctx(t), "ana", code, []byte(other))
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != ana.ID() || again.Device() == ana.Device() {
		t.Error("another account, or the old device")
	}
	if d, err := again.Devices(ctx(t)); err != nil || len(d) != 1 {
		t.Errorf("%d devices, %v", len(d), err)
	}
	await(t, "the old device is out", func() bool { _, open := anaIn.Account("ana"); return !open })
	if _, _, err := anaIn.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("the old password: %v", err)
	}
	if err := by(code); !errors.Is(err, reseal.ErrLoggedIn) {
		t.Errorf("again here: %v", err)
	}
	if _, _, err := w.phone().ResetByCode(ctx(t), "ana", code, []byte(other)); !errors.Is(err, reseal.ErrResetCode) {
		t.Errorf("a code is good twice: %v", err)
	}

	// Contacts hold until they agree to that very key.
	await(t, "ben is warned", func() bool { return len(alarms()) > 0 })
	if _, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "x"}); !errors.Is(err, reseal.ErrAlarm) {
		t.Errorf("sent: %v", err)
	}
	c, err := ben.Contact(ctx(t), "ana")
	if err != nil || len(c.Offered) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := ben.Trust(ctx(t), "ana", c.Offered[0].Key); err != nil {
		t.Fatal(err)
	}
	id := keep(t, ben, "to the new one", "ana")
	awaitState(t, again, id, client.IsReady)
	if _, body := open(t, again, id); string(body) != "to the new one" {
		t.Errorf("got %q", body)
	}

	// The new password, the new code, and a hop work as ever.
	if _, _, _, err := w.phone().Recover(ctx(t), "ana", recovery, []byte(secret+"third")); err != nil {
		t.Errorf("the new code: %v", err)
	}
	tablet, how, err := w.phone().LogIn(ctx(t), "ana", []byte(secret+"third"))
	if err != nil || !how.NewDevice {
		t.Fatalf("%+v, %v", how, err)
	}
	awaitState(t, tablet, id, client.IsReady)
}
