package server

import (
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
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
	MaxRequest = 1 << 20
	maxHeader  = 16 << 10
	// readHeaderTimeout is for the head of an HTTP/1.1 request and for the
	// handshake of TLS.
	readHeaderTimeout = 10 * time.Second
	// idleTimeout is for a connection without a request, also one that has
	// begun a frame of HTTP/2 and does not end it.
	idleTimeout = 2 * time.Minute
	// maxStreams is how many requests one HTTP/2 connection may have at once.
	maxStreams = 64
	// streamWindow and connWindow bound what a client may send on HTTP/2 before
	// somebody reads it, bytes: with MaxConns connections that send and are not
	// read, the second is what they cost.
	streamWindow = 1 << 20
	connWindow   = 1 << 20
	// maxHeaderTable bounds what HPACK keeps for a connection, bytes.
	maxHeaderTable = 4 << 10
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
		Answer:  s.Answer,
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
	if s.config.TLS == nil {
		protocols.SetUnencryptedHTTP2(true)
	} else {
		protocols.SetHTTP2(true)
	}
	return &http.Server{
		Handler: s.Handler(), Protocols: protocols, TLSConfig: s.config.TLS,
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: connWindow, MaxReceiveBufferPerStream: streamWindow,
			MaxDecoderHeaderTableSize: maxHeaderTable, MaxEncoderHeaderTableSize: maxHeaderTable,
			SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: writeTimeout,
		},
		ErrorLog: log.New(quiet{s.log}, "", 0),
	}
}

// serveHTTP takes connections from l. The limits on connections come before TLS:
// a handshake costs more than most calls.
func (s *Server) serveHTTP(l net.Listener) error {
	if s.config.TLS == nil {
		return s.http.Serve(s.bound(l))
	}
	return s.http.ServeTLS(s.bound(l), "", "")
}

func (s *Server) certificateEnd() float64 {
	if s.config.CertificateEnd == nil {
		return 0
	}
	if t := s.config.CertificateEnd(); !t.IsZero() {
		return float64(t.Unix())
	}
	return 0
}

// quiet takes what net/http says of connections, which has their addresses in
// it, down to a line without any.
type quiet struct{ log *slog.Logger }

var _ io.Writer = quiet{}

func (q quiet) Write(b []byte) (int, error) {
	q.log.Debug("server: trouble with a connection")
	return len(b), nil
}
