package server_test

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal/api/mux"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store/memory"
)

// running is a server on a loopback port.
type running struct {
	*server.Server
	url    string
	served chan error
}

func run(t *testing.T, change func(*server.Config)) *running {
	t.Helper()
	st, err := memory.New(server.Schema(), memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	setup, err := opaque.NewSetup(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := server.Config{Store: st, BlobFolder: t.TempDir(), Setup: setup, Version: "test", BlobFloor: -1}
	if change != nil {
		change(&c)
	}
	s, err := server.New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{s, "http://" + l.Addr().String(), make(chan error, 1)}
	go func() { r.served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		<-r.served
		_ = c.Store.Close()
	})
	return r
}

func client(h2 bool) *http.Client {
	tr := new(http.Transport)
	if h2 {
		p := new(http.Protocols)
		p.SetUnencryptedHTTP2(true)
		tr.Protocols = p
	}
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func TestOneListenerForEverything(t *testing.T) {
	s := run(t, nil)
	ws, err := mux.Dial(context.Background(), "ws"+strings.TrimPrefix(s.url, "http")+mux.Path, mux.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tr := range map[string]connect.Transport{
		"http/1.1":  connecthttp.NewTransport(client(false), s.url),
		"http/2":    connecthttp.NewTransport(client(true), s.url),
		"grpc":      connecthttp.NewTransport(client(true), s.url, connecthttp.WithGRPC()),
		"websocket": ws,
		"json":      connecthttp.NewTransport(client(false), s.url, connecthttp.WithProtoJSON()),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := resealv1connect.NewAccountServiceClient(connect.NewClient(tr)).ServerInfo(t.Context(), &resealv1.ServerInfoRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if got.Version != "test" || got.MaxCiphertext == 0 || got.PartSize == 0 {
				t.Errorf("%v", got)
			}
		})
	}
	resp, err := client(false).Get(s.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || !strings.Contains(string(b), "Reseal server") {
		t.Errorf("%s: %s", resp.Status, b)
	}
}
