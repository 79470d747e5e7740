package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/reseal/reseal/store"
)

// Serve takes clients from l until ctx ends, which cuts everything, or until
// [Server.Drain] has returned; then it returns nil. Meanwhile it runs the
// janitor of the blobs. It closes l. A server serves once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if !s.served.CompareAndSwap(false, true) {
		_ = l.Close()
		return errors.New("server: served already")
	}
	addr := l.Addr()
	s.addr.Store(&addr)
	running, cancel := context.WithCancel(ctx)
	janitor := make(chan struct{})
	go func() {
		defer close(janitor)
		_ = s.blobs.Run(running) // ends with running
	}()
	defer func() {
		cancel()
		<-janitor
	}()
	stop := context.AfterFunc(ctx, s.cut)
	defer stop()
	if err := s.serveHTTP(l); !errors.Is(err, http.ErrServerClosed) {
		s.cut()
		return err
	}
	select {
	case <-s.drained:
	case <-ctx.Done():
		s.cut()
	}
	return nil
}

// Drain ends the server in good order: no new connections and calls, event
// streams end with REASON_DRAINING, clients on the WebSocket are told to go
// elsewhere, and calls under way may finish until ctx ends. What is left then is
// cut, and ctx's error returned. It may be called once, at any time.
func (s *Server) Drain(ctx context.Context) error {
	s.halt()
	streams := make(chan error, 1)
	go func() { streams <- s.mux.Drain(ctx) }()
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	err = errors.Join(err, <-streams)
	s.end()
	return err
}

// halt makes the server refuse calls and end event streams.
func (s *Server) halt() {
	s.drain.Do(func() {
		s.draining.Store(true)
		close(s.stop)
	})
}

// cut ends everything at once.
func (s *Server) cut() {
	s.halt()
	_ = s.http.Close()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.mux.Drain(ended) // with a context that has ended it only cuts
	s.end()
}

func (s *Server) end() {
	s.once.Do(func() {
		s.auth.Wait()
		close(s.drained)
	})
}

// healthTimeout is how long the store may take to answer before the server
// counts as ill.
const healthTimeout = 2 * time.Second

// ServeMetrics serves /metrics and /healthz, for the operator, from l until ctx
// ends. It closes l.
func (s *Server) ServeMetrics(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler: s.OperatorHandler(), ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: s.http.ErrorLog,
	}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	defer stop()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// OperatorHandler is what ServeMetrics serves.
func (s *Server) OperatorHandler() http.Handler {
	h := http.NewServeMux()
	h.Handle("GET /metrics", s.metrics.Handler())
	h.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := s.Health(r.Context()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(err.Error() + "\n"))
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	return h
}

// What [Server.Health] finds.
var (
	ErrDraining = errors.New("server: draining")
	ErrStore    = errors.New("server: the store does not answer")
	ErrDamaged  = errors.New("server: the store is damaged: restore the data folder from a backup")
)

// Health tells whether the server can do its work: nil, [ErrDraining],
// [ErrDamaged], or [ErrStore] with its cause in the log.
func (s *Server) Health(ctx context.Context) error {
	if s.draining.Load() {
		return ErrDraining
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	_, err := s.config.Store.Get(ctx, keyPartition, keyRecord)
	if errors.Is(err, store.ErrDamaged) {
		return ErrDamaged // the store has said which file
	}
	if err != nil && !errors.Is(err, store.ErrAbsent) {
		s.log.Error("server: the store does not answer", "error", err)
		return ErrStore
	}
	return nil
}
