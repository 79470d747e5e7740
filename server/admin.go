package server

import (
	"context"
	"errors"
	"net"
	"net/http"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/server/admin"
	"github.com/reseal/reseal/store"
)

// ServeAdmin serves AdminService from l until ctx ends, and closes l. Whoever can
// connect to l may do everything: it is a unix socket that only the server's own
// user can open.
func (s *Server) ServeAdmin(ctx context.Context, l net.Listener) error {
	calls := http.NewServeMux()
	connecthttp.Mount(calls, s.adminCalls(), connecthttp.WithReadMaxBytes(MaxRequest), connecthttp.WithCompressors())
	// No time for the whole: counting takes as long as there are accounts.
	h := &http.Server{
		Handler: calls, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: s.http.ErrorLog,
	}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	defer stop()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// adminCalls has none of the clients' interceptors: no session, no limits.
func (s *Server) adminCalls() *connect.Server {
	c := connect.NewServer()
	lister, _ := s.config.Store.(store.Lister)
	resealv1connect.RegisterAdminServiceHandler(c, &admin.Service{
		Store: s.config.Store, Lister: lister, Accounts: s.auth, Log: s.log, Now: s.config.Now, Rand: s.config.Rand,
	})
	return c
}
