package server

import (
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/api/mux"
	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// Limits of one connection and one request.
const (
	// MaxRequest is the longest request message, bytes.
	MaxRequest        = 1 << 20
	maxHeader         = 16 << 10
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
)

const greeting = "This is a Reseal server. Use a Reseal client to talk to it: see github.com/reseal/reseal.\n"

// Handler serves everything that clients use, for programs that bring their own
// http.Server; Serve is the usual way.
func (s *Server) Handler() http.Handler {
	h := http.NewServeMux()
	calls := http.NewServeMux()
	// No compression: text chosen by others beside secrets in one compressed
	// stream would leak the secrets by length; what is long is ciphertext.
	connecthttp.Mount(calls, s.calls, connecthttp.WithReadMaxBytes(MaxRequest), connecthttp.WithCompressors())
	h.Handle("/", s.pace(calls))
	h.Handle("GET /{$}", s.pace(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write([]byte(greeting))
	})))
	h.Handle(mux.Path, s.mux)
	h.Handle(blobs.Root, s.blobs.Handler())
	h.Handle(blobs.Root+"/", s.blobs.Handler())
	return h
}

func (s *Server) newMux() *mux.Handler {
	o := mux.Options{
		Origins: s.config.Origins, Version: s.config.Version, MaxMessage: MaxRequest, MaxConns: s.config.MaxConns,
		WriteTimeout: s.times.write,
		Now:          s.config.Now, Closed: func(r mux.Reason) { s.metrics.Count("stream_ends", string(r)) }, Log: s.log,
	}
	errors.As(refusal.New(resealv1.Reason_REASON_DRAINING), &o.Draining)
	return mux.NewHandler(s.calls, o)
}

func (s *Server) newHTTP() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: s.Handler(), Protocols: protocols,
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 64, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: writeTimeout,
		},
		ErrorLog: log.New(quiet{s.log}, "", 0),
	}
}

// quiet takes what net/http says of connections, which has their addresses in
// it, down to a line without any.
type quiet struct{ log *slog.Logger }

var _ io.Writer = quiet{}

func (q quiet) Write(b []byte) (int, error) {
	q.log.Debug("server: trouble with a connection")
	return len(b), nil
}
