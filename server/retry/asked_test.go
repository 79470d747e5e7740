package retry_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2/connectinprocess"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/retry"
)

// A server that starts anew counts nothing a second time, and knows since when a
// device has been asking.
func TestFiguresAfterARestart(t *testing.T) {
	p := meet(t, 2)
	r := p.mb.Ask(p.alice.Account.ID, p.ids()...)
	ask(t, p.mb, r)
	p.w.Pass(10 * time.Second)
	has(t, p.w.Server, "reseal_retries_needed_total 2", `reseal_retry_requests_total{to="sender"} 1`)
	restarted, err := server.New(server.Config{
		Store: p.w.Store, BlobFolder: t.TempDir(), BlobFloor: -1, Setup: p.w.Setup, Now: p.w.Now, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	mailbox := func(d *tw.Device) tw.Client { return tw.ClientOver(connectinprocess.New(restarted.Calls()), d.Token()) }
	again := &resealv1.AskRetryRequest{Requests: [][]byte{r.Bytes()}}
	tw.Must[*resealv1.AskRetryResponse](t)(mailbox(p.mb).Mailbox.AskRetry(ctx, again))
	p.w.Pass(20 * time.Second)
	answer := p.messages[0].AddRequest(p.alice, p.mb)
	for range 2 {
		tw.Must[*resealv1.AddWrapsResponse](t)(mailbox(p.alice).Mailbox.AddWraps(ctx, answer))
	}
	has(
		t, restarted, "reseal_retries_needed_total 0", `reseal_retry_requests_total{to="sender"} 1`,
		`reseal_retry_answered_total{by="sender"} 1`, `reseal_wraps_added_total{kind="retry"} 1`,
		`reseal_retry_answer_seconds_count{by="sender"} 1`, `reseal_retry_answer_seconds_sum{by="sender"} 30`,
		`reseal_retry_answer_seconds_count{by="own"} 0`,
	)
}

func has(t *testing.T, s *server.Server, lines ...string) {
	t.Helper()
	r := httptest.NewRecorder()
	s.Metrics().Handler().ServeHTTP(r, httptest.NewRequest("GET", "/metrics", nil))
	for _, l := range lines {
		if !strings.Contains(r.Body.String(), "\n"+l+"\n") {
			t.Errorf("no line %q", l)
		}
	}
}

// What is remembered is bounded, and the newest of it is there.
func TestAskedIsBounded(t *testing.T) {
	var a retry.Asked
	at := time.Unix(1, 0)
	id := func(n int) (id message.ID) {
		id[0], id[1], id[2] = byte(n), byte(n>>8), byte(n>>16)
		return id
	}
	d := identity.DeviceID{1}
	const many = 3 * retry.MaxAsked
	for n := range many {
		if !a.Ask(id(n), d, at) {
			t.Fatalf("%d is not new", n)
		}
	}
	if n := a.Len(); n > retry.MaxAsked {
		t.Errorf("%d are remembered", n)
	}
	for _, n := range []int{many - 1, many - retry.MaxAsked/2} {
		if a.Ask(id(n), d, at) || !a.Ask(id(n), identity.DeviceID{2}, at) {
			t.Errorf("%d is new, or the same for another device", n)
		}
	}
	if _, _, ok := a.Answered(id(0), d); ok {
		t.Error("the oldest is remembered")
	}
	last := id(many - 1)
	for i := range 2 {
		if got, first, ok := a.Answered(last, d); !ok || !got.Equal(at) || first != (i == 0) {
			t.Errorf("%v, first %v, %v", got, first, ok)
		}
	}
	if a.Ask(last, d, at) {
		t.Error("asked anew after the answer")
	}
}
