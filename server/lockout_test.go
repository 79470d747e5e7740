package server_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/internal/records"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/store"
)

// Whoever tries codes at a handle keeps nobody out who has the right one, and
// comes from a phone that the account does not know, because all were lost. They
// are stopped themselves, and the account's devices are told, but not for ever.
func TestStrangersDoNotKeepARecoveryOut(t *testing.T) {
	l := limits.Default()
	w := tw.New(t, func(c *server.Config) { c.Limits = &l })
	d := w.SignUp("alice", "correct horse battery staple")
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	from := make(chan string, 1)
	c, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Server.Serve(c, abroad{inner, from}) }()
	try := func(address string, auth []byte) resealv1.Reason {
		t.Helper()
		tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			from <- address
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
		client := resealv1connect.NewAccountServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: tr, Timeout: time.Minute}, "http://"+inner.Addr().String())))
		_, err := client.StartRecovery(ctx, &resealv1.StartRecoveryRequest{Handle: "alice", RecoveryAuth: auth, SessionHash: tw.Random(32)})
		if err != nil && refusal.Detail(err) == nil {
			t.Fatal(err)
		}
		return refusal.Reason(err)
	}
	right := d.Code.Auth().Bytes()
	for _, eve := range []string{"203.0.113.7", "2001:db8::7", "203.0.113.8"} {
		tries := 0
		for try(eve, tw.Random(32)) != resealv1.Reason_REASON_RATE {
			if tries++; tries > 100 {
				t.Fatal("nobody stops who tries code after code")
			}
		}
		if got := try(eve, right[:]); got != resealv1.Reason_REASON_RATE {
			t.Errorf("%s goes on: %v", eve, got)
		}
	}
	if got := try("198.51.100.1", right[:]); got != resealv1.Reason_REASON_UNSPECIFIED {
		t.Errorf("the owner, on a new phone: %v", got)
	}
	cancel()
	if err := <-done; err != nil { // all that was to be told is told
		t.Fatal(err)
	}
	told, prefix := 0, records.QueueOf(d.ID)
	for rec, err := range store.Scan(ctx, w.Store, records.DayPartition(d.Account.ID, w.Time().Day()), prefix, store.PrefixEnd(prefix), false) {
		if err != nil {
			t.Fatal(err)
		}
		if e := tw.Must[records.Entry](t)(records.ParseEntry(rec.Value)); e.Kind == records.EntryNotice {
			told++
		}
	}
	if want := l.Rates[limits.RecoveryTold].Burst; told == 0 || told > want {
		t.Errorf("told %d times, not 1 to %d", told, want)
	}
}
