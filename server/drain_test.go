package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal/api/mux"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// listening is a world whose server listens on loopback.
func listening(t *testing.T, change func(*server.Config)) (w *tw.World, url string, served chan error) {
	t.Helper()
	w = tw.New(t, change)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithCancel(ctx)
	served = make(chan error, 1)
	go func() { served <- w.Server.Serve(c, l) }()
	t.Cleanup(cancel)
	return w, "http://" + l.Addr().String(), served
}

// Drain ends event streams with their reason over every transport, lets a call
// under way finish, refuses new ones, and then Serve returns.
func TestDrain(t *testing.T) {
	w, url, served := listening(t, nil)
	alice := w.Account("alice")
	ws, err := mux.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+mux.Path, mux.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var streams []*tw.Stream
	for _, tr := range []connect.Transport{connecthttp.NewTransport(client(false), url), connecthttp.NewTransport(client(true), url), ws} {
		alice.C = tw.ClientOver(tr, alice.Token())
		s, _ := alice.Events()
		streams = append(streams, s)
	}
	// A call that is under way: its commit waits.
	begun, release := make(chan struct{}), make(chan struct{})
	w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
		close(begun)
		<-release
		return memory.Known
	})
	slow := make(chan error, 1)
	fresh := tw.ClientOver(connecthttp.NewTransport(client(false), url), alice.Token())
	go func() {
		_, err := fresh.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: tw.Random(16), Blocked: true})
		slow <- err
	}()
	<-begun
	drained := make(chan error, 1)
	go func() { drained <- w.Server.Drain(ctx) }()
	for _, s := range streams {
		tw.Refused(t, s.End(), resealv1.Reason_REASON_DRAINING)
	}
	if err := w.Server.Health(ctx); err != server.ErrDraining {
		t.Errorf("health: %v", err)
	}
	_, err = w.Client(alice.Token()).GetBook(ctx, &resealv1.GetBookRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_DRAINING)
	select {
	case err := <-drained:
		t.Fatalf("drained (%v) before the call had ended", err)
	default:
	}
	close(release)
	if err := <-slow; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := <-drained; err != nil {
		t.Errorf("drain: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		t.Error("still listening")
	}
}

// A call that does not end is cut at the deadline.
func TestDrainDeadline(t *testing.T) {
	w, url, served := listening(t, nil)
	alice := w.Account("alice")
	begun, release := make(chan struct{}), make(chan struct{})
	w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome {
		close(begun)
		<-release
		return memory.Known
	})
	c := tw.ClientOver(connecthttp.NewTransport(client(false), url), alice.Token())
	go func() { _, _ = c.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: tw.Random(16), Blocked: true}) }()
	<-begun
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := w.Server.Drain(short); err == nil {
		t.Error("drained while a call was under way")
	}
	close(release)
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	w, _, _ := listening(t, nil)
	for w.Server.Addr() == nil {
		time.Sleep(time.Millisecond)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Server.Serve(ctx, l); err == nil {
		t.Error("served twice")
	}
	other := tw.New(t, nil)
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- other.Server.Serve(c, l) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A handler that panics is one refusal and one line in the log.
func TestPanic(t *testing.T) {
	w := tw.New(t, nil)
	alice := w.Account("alice")
	w.Outcomes(func(store.Partition, *store.Batch) memory.Outcome { panic("boom") })
	_, err := alice.C.SetBlocked(ctx, &resealv1.SetBlockedRequest{AccountId: tw.Random(16), Blocked: true})
	tw.Refused(t, err, resealv1.Reason_REASON_INTERNAL)
	if strings.Contains(err.Error(), "boom") {
		t.Error("the cause is told to the client")
	}
	if log := string(w.Log.Bytes()); !strings.Contains(log, "boom") || !strings.Contains(log, "setBlocked") {
		t.Error("no stack in the log")
	}
	w.Outcomes(nil)
	if _, err := alice.C.GetBook(ctx, &resealv1.GetBookRequest{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestMetricsAndHealth(t *testing.T) {
	w := tw.New(t, nil)
	alice, bob := w.Account("alice"), w.Account("bob")
	alice.Send(bob.Account, nil)
	_, err := alice.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: "nobody"})
	tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_ACCOUNT)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Server.ServeMetrics(c, l) }()
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	_, text := get("/metrics")
	for _, line := range []string{
		"reseal_sends_total 1", `reseal_messages_stored_total{policy="keep"} 1`, "reseal_signups_total 2",
		`reseal_refusals_total{reason="unknown_account"} 1`, "reseal_event_streams 0", `reseal_queued_total{event="message"} 1`,
		`reseal_call_seconds_count{procedure="/reseal.v1.MailboxService/Send"} 1`, `reseal_store_commit_seconds_count{result="committed"}`,
		"reseal_blob_bytes_in_total 0", "go_goroutines", "process_",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in the metrics", line)
		}
	}
	if code, text := get("/healthz"); code != 200 || text != "ok\n" {
		t.Errorf("%d %q", code, text)
	}
	if err := w.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if code, text := get("/healthz"); code != 503 || !strings.Contains(text, "store") {
		t.Errorf("%d %q", code, text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// damaged is a store in which one read has met damage.
type damaged struct {
	store.Store
	met atomic.Bool
}

func (d *damaged) Get(ctx context.Context, p store.Partition, k store.Key) (store.Record, error) {
	if d.met.Load() {
		return store.Record{}, fmt.Errorf("%w: %w: 000012.sst", store.ErrFailed, store.ErrDamaged)
	}
	return d.Store.Get(ctx, p, k)
}

// That the store is damaged is shown as what it is, with the way out, and without
// a line in the log each time that somebody asks.
func TestHealthOfDamagedStore(t *testing.T) {
	d := new(damaged)
	w := tw.New(t, func(c *server.Config) { d.Store = c.Store; c.Store = d })
	if err := w.Server.Health(ctx); err != nil {
		t.Fatal(err)
	}
	d.met.Store(true)
	before := len(w.Log.Bytes())
	for range 3 {
		answer := httptest.NewRecorder()
		w.Server.OperatorHandler().ServeHTTP(answer, httptest.NewRequest("GET", "/healthz", nil))
		if text := answer.Body.String(); answer.Code != 503 || !strings.Contains(text, "damaged") || !strings.Contains(text, "backup") {
			t.Errorf("%d %s", answer.Code, text)
		}
	}
	if log := w.Log.Bytes(); len(log) != before {
		t.Errorf("logged: %s", log[before:])
	}
}

// What comes from outside is bounded: bodies, headers, connections, rates.
func TestOuterLimits(t *testing.T) {
	_, url, _ := listening(t, func(c *server.Config) { c.MaxConns = 3 })
	call := url + "/reseal.v1.AccountService/ServerInfo"
	hc := client(false)
	resp, err := hc.Post(call, "application/proto", strings.NewReader(strings.Repeat("x", server.MaxRequest+1)))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode == 200 {
		t.Error("a request over the limit was taken")
	}
	req, _ := http.NewRequest("GET", url+"/", nil)
	req.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	if resp, err = hc.Do(req); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("long headers: %s", resp.Status)
	}
	hc.CloseIdleConnections()
	// Three connections are open; the fourth waits until one is closed.
	addr := strings.TrimPrefix(url, "http://")
	var conns []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	answer := func(c net.Conn, within time.Duration) bool {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(within))
		_, err := bufio.NewReader(c).ReadString('\n')
		return err == nil
	}
	if !answer(conns[0], 5*time.Second) {
		t.Error("a connection within the limit is not served")
	}
	if answer(conns[3], 100*time.Millisecond) {
		t.Error("a connection over the limit is served")
	}
	conns[0].Close()
	if !answer(conns[3], 5*time.Second) {
		t.Error("a place that is free again is not given")
	}
}

// A silent event stream outlives every time of a call, over both versions of
// HTTP; a client that does not read loses its connection.
func TestStreamsOutliveTimes(t *testing.T) {
	const short = 200 * time.Millisecond
	w := tw.New(t, nil)
	server.SetTimes(w.Server, short)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { _ = w.Server.Serve(c, l) }()
	url := "http://" + l.Addr().String()
	alice, bob := w.Account("alice"), w.Account("bob")
	var streams []*tw.Stream
	for _, h2 := range []bool{false, true} {
		bob.C = tw.ClientOver(connecthttp.NewTransport(client(h2), url), bob.Token())
		s, _ := bob.Events()
		streams = append(streams, s)
	}
	time.Sleep(4 * short)
	m, _ := alice.Send(bob.Account, nil)
	for _, s := range streams {
		if ev := s.Next(); !m.Opens(bob, ev.GetMessage().GetWraps()) {
			t.Error("another event than the message")
		}
	}
	// A request that never ends.
	slow, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_, _ = io.WriteString(slow, "POST /reseal.v1.AccountService/ServerInfo HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 9\r\n\r\nx")
	_ = slow.SetReadDeadline(time.Now().Add(20 * time.Second))
	if b, err := io.ReadAll(slow); err != nil || strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("a request that never ends: %q, %v", b, err)
	}
}

func TestUnknownCalls(t *testing.T) {
	_, url, _ := listening(t, nil)
	for _, path := range []string{"/reseal.v1.AccountService/Nothing", "/nothing", "/v1/blobs/x/y"} {
		resp, err := client(false).Post(url+path, "application/proto", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 400 || resp.StatusCode >= 500 && resp.StatusCode != 501 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}
