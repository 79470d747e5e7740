package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/api/mux"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/bus"
	"github.com/reseal/reseal/bus/local"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/server/auth"
	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/server/blob/folder"
	"github.com/reseal/reseal/server/directory"
	"github.com/reseal/reseal/server/limits"
	"github.com/reseal/reseal/server/mailbox"
	"github.com/reseal/reseal/server/metrics"
	"github.com/reseal/reseal/server/retry"
	"github.com/reseal/reseal/store"
)

// Config is what a server works with. Store, BlobFolder and Setup are needed;
// the zero value of every other field stands for its default.
type Config struct {
	// Store was opened with [Schema]. It stays the caller's to close, after
	// Serve has returned.
	Store store.Store
	// BlobFolder is where the bytes of blobs lie; it is made if need be. One
	// server uses it at a time.
	BlobFolder string
	// BlobFloor is how many bytes of its disk stay free; default
	// [folder.DefaultFloor], negative for none.
	BlobFloor int64
	// Setup comes from the key file; see [LoadKeyFile].
	Setup opaque.Setup
	Bus   bus.Bus          // default: in process
	Log   *slog.Logger     // default discards
	Now   func() time.Time // default time.Now; what everything signed is judged by
	Rand  io.Reader        // default crypto/rand
	// Limits of rates; default [limits.Default].
	Limits *limits.Config
	// Quotas of what is kept for an account; default [quota.Default].
	Quotas *quota.Limits
	// Version is told to clients, at most 255 printable ASCII characters.
	Version string
	// Signup is who may make an account; default everybody.
	Signup resealv1.Signup
	// Strangers is how many accounts one account may write to in a day (UTC) that
	// have not shown that they know it; default [DefaultStrangers], negative for
	// no limit.
	Strangers int
	// Origins are host patterns that pages in browsers may connect from.
	Origins []string
	// TLS is what the listener of Serve speaks; nil is plain HTTP, for
	// loopback, or behind something that brings TLS. See package certs.
	TLS *tls.Config
	// CertificateEnd is when the certificate ends, for the metrics; nil without
	// TLS.
	CertificateEnd func() time.Time
	// MaxCalls bounds calls that run at once, event streams not counted; default
	// [DefaultMaxCalls]. Further ones are refused as unavailable ("overload"), those
	// without a session already at half of it.
	MaxCalls int
	// MaxConns bounds connections at once; default 16,384. Further ones wait
	// to be accepted.
	MaxConns int
	// MaxConnsPerAddress bounds those of one address that is not this
	// machine's; default 512. Further ones are closed.
	MaxConnsPerAddress int
}

// Defaults of [Config].
const (
	DefaultMaxConns           = 16384
	DefaultMaxConnsPerAddress = 512
	DefaultStrangers          = 100
	// MaxStrangers is the most that Strangers can be: a day's are one record.
	MaxStrangers = 4000
)

// Server is a Reseal server. Make it by [New], run it by Serve.
type Server struct {
	config  Config
	log     *slog.Logger
	metrics *metrics.Metrics
	limits  *limits.Limits
	login   *opaque.Server
	auth    *auth.Service
	mailbox *mailbox.Service
	blobs   *blob.Service
	bytes   *folder.Folder
	calls   *connect.Server
	mux     *mux.Handler
	http    *http.Server

	times    times
	stop     chan struct{} // closed: event streams end
	drained  chan struct{} // closed: nothing runs any more
	draining atomic.Bool
	drain    sync.Once
	once     sync.Once
	conns    atomic.Int64
	calling  atomic.Int64 // calls that run
	addr     atomic.Pointer[net.Addr]
	served   atomic.Bool
	copying  sync.Mutex // one backup at a time
}

// Schema is every key that a server writes; the store must be opened with it.
func Schema() store.Schema {
	return append(append(store.Schema{}, records.Schema...), blob.Schema...)
}

// New puts a server together. It writes a mark into a fresh store and makes the
// blob folder; nothing runs before Serve.
func New(c Config) (*Server, error) {
	if c.Store == nil || c.BlobFolder == "" {
		return nil, errors.New("server: Store and BlobFolder are needed")
	}
	c = c.withDefaults()
	s := &Server{config: c, log: c.Log, metrics: metrics.New(), times: times{callTimeout, readTimeout, writeTimeout}, stop: make(chan struct{}), drained: make(chan struct{})}
	s.limits = limits.New(*c.Limits, c.Now)
	if err := s.assemble(c); err != nil {
		return nil, err
	}
	s.http = s.newHTTP()
	s.metrics.Gauge("connections", "Connections of clients.", func() float64 { return float64(s.conns.Load()) })
	s.metrics.Gauge("streams", "WebSocket connections of clients.", func() float64 { return float64(s.mux.Conns()) })
	s.metrics.Gauge("certificate_end_seconds", "When the certificate ends, Unix time; 0 without one.", s.certificateEnd)
	s.metrics.Gauge("calls", "Calls that run, event streams not counted.", func() float64 { return float64(s.calling.Load()) })
	s.metrics.Gauge("event_streams", "Open event streams.", func() float64 { return float64(s.mailbox.Streams()) })
	return s, nil
}

func (c Config) withDefaults() Config {
	if c.Bus == nil {
		c.Bus = new(local.Bus)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Limits == nil {
		d := limits.Default()
		c.Limits = &d
	}
	if c.Signup == resealv1.Signup_SIGNUP_UNSPECIFIED {
		c.Signup = resealv1.Signup_SIGNUP_OPEN
	}
	if c.MaxCalls <= 0 {
		c.MaxCalls = DefaultMaxCalls
	}
	if c.MaxConns <= 0 {
		c.MaxConns = DefaultMaxConns
	}
	if c.MaxConnsPerAddress <= 0 {
		c.MaxConnsPerAddress = DefaultMaxConnsPerAddress
	}
	if c.Strangers == 0 {
		c.Strangers = DefaultStrangers
	}
	if c.Quotas == nil {
		q := quota.Default()
		c.Quotas = &q
	}
	c.Strangers = min(c.Strangers, MaxStrangers)
	return c
}

// mailboxHandler is MailboxService out of the two packages that it lies in.
type mailboxHandler struct {
	*mailbox.Service
	retries
}

// retries keeps the two services' names apart.
type retries struct{ *retry.Service }

// assemble makes the services and plugs them together.
func (s *Server) assemble(c Config) error {
	st := s.metrics.Store(c.Store)
	login, err := opaque.NewServer(c.Setup)
	if err != nil {
		return fmt.Errorf("server: key file: %w", err)
	}
	s.login = login
	s.auth = &auth.Service{
		Store: st, Bus: c.Bus, Topics: topics{}, Opaque: login, Limiter: s.limits, Counter: s.metrics, Log: c.Log,
		Now: c.Now, Rand: c.Rand, ChallengeKey: c.Setup.Key("epoch challenge"), Version: c.Version,
		MaxCiphertext: message.MaxCiphertext, PartSize: blobs.PartSize, Signup: c.Signup,
		MaxBlocked: int(c.Quotas.Blocked), MaxBook: int(c.Quotas.Book),
	}
	if err := s.newBlobs(c, st); err != nil {
		return err
	}
	s.mailbox = &mailbox.Service{
		Store: st, Bus: c.Bus, Blobs: blob.References{Service: s.blobs}, Sessions: s.auth, Limiter: s.limits,
		Counter: s.metrics, Log: c.Log, Now: c.Now, Rand: c.Rand, Stop: s.stop, Strangers: c.Strangers,
		Pending:   quota.NewTally("pending", c.Quotas.Pending, "pending-bytes", c.Quotas.PendingBytes, c.Now),
		SentQuota: quota.NewTally("sent", c.Quotas.Sent, "", 0, c.Now),
	}
	asked := new(retry.Asked)
	s.mailbox.Asked, s.mailbox.Answering = asked, s.metrics
	if e, ok := c.Store.(store.Expirer); ok {
		e.OnExpired(s.mailbox.Expired)
	}
	s.auth.Queues, s.auth.Blobs = s.mailbox, blob.References{Service: s.blobs}
	router := &retry.Service{Store: st, Queue: s.mailbox, Limiter: s.limits, Counter: s.metrics, Asked: asked, Log: c.Log, Now: c.Now}
	s.calls = connect.NewServer(s.observe, s.shed, s.admit, s.auth.Interceptor(), s.limitAccount)
	resealv1connect.RegisterAccountServiceHandler(s.calls, s.auth)
	resealv1connect.RegisterDirectoryServiceHandler(s.calls, &directory.Service{Store: st, Limiter: s.limits, Log: c.Log})
	resealv1connect.RegisterMailboxServiceHandler(s.calls, mailboxHandler{s.mailbox, retries{router}})
	s.mux = s.newMux()
	return nil
}

func (s *Server) newBlobs(c Config, st store.Store) error {
	bytes, err := folder.Open(c.BlobFolder, folder.Options{Floor: c.BlobFloor})
	if err != nil {
		return fmt.Errorf("server: blob folder: %w", err)
	}
	s.bytes = bytes
	s.blobs, err = blob.New(context.Background(), blob.Config{
		Store: st, Bytes: bytes, Clock: c.Now, Rand: c.Rand, Log: c.Log,
		Authorize: s.authorizeBlob, Quota: s.quota,
		Kept: quota.NewTally("blobs", c.Quotas.Blobs, "blob-bytes", c.Quotas.BlobBytes, c.Now),
		Counters: blob.Counters{
			BytesIn: s.metrics.Blob("bytes_in"), BytesOut: s.metrics.Blob("bytes_out"), Uploads: s.metrics.Blob("uploads"),
			Completed: s.metrics.Blob("completed"), Abandoned: s.metrics.Blob("abandoned"), Collected: s.metrics.Blob("collected"), Damaged: s.metrics.Blob("damaged"),
			Refused: func(code string) { s.metrics.Count("blob_refusals", code) },
		},
	})
	if err != nil {
		return fmt.Errorf("server: store: %w", err)
	}
	return nil
}

// Calls is the server's calls with all interceptors, for transports in the same
// process.
func (s *Server) Calls() *connect.Server { return s.calls }

// Answer proves which server this is to who asks (spec/login.md, section 6.1):
// mux.Options.Answer for transports in the same process.
func (s *Server) Answer(question []byte) ([]byte, error) { return s.login.Answer(question) }

// Auth is the service of accounts, of which an operator may use a part: see
// admin.Accounts.
func (s *Server) Auth() *auth.Service { return s.auth }

// Metrics are the server's metrics.
func (s *Server) Metrics() *metrics.Metrics { return s.metrics }

// Addr is where Serve listens, nil before.
func (s *Server) Addr() net.Addr {
	if a := s.addr.Load(); a != nil {
		return *a
	}
	return nil
}

// topics gives packages auth and mailbox the same names for hints.
type topics struct{}

func (topics) Directory(a identity.AccountID) string { return mailbox.DirectoryTopic(a) }
func (topics) Sessions(a identity.AccountID) string  { return mailbox.SessionTopic(a) }
func (topics) Book(a identity.AccountID) string      { return mailbox.BookTopic(a) }
