package server

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/server/admin"
	"github.com/reseal/reseal/server/blob"
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
		Copy: s.copyTo,
	})
	return c
}

// copyTo makes a backup, and says what went wrong as a call does. The operator,
// who can read the log as well, is told the cause.
func (s *Server) copyTo(ctx context.Context, dir string) error {
	err := s.Backup(ctx, dir)
	if err == nil || ctx.Err() != nil {
		return err
	}
	code := connect.CodeInternal
	switch {
	case errors.Is(err, fs.ErrExist):
		code = connect.CodeAlreadyExists
	case errors.Is(err, ErrBackupRuns):
		code = connect.CodeAborted
	case errors.Is(err, ErrBackupInside):
		code = connect.CodeInvalidArgument
	case errors.Is(err, ErrNoBackup):
		code = connect.CodeUnimplemented
	case errors.Is(err, store.ErrFull), errors.Is(err, blob.ErrFull), errors.Is(err, syscall.ENOSPC):
		code = connect.CodeResourceExhausted
	case errors.Is(err, fs.ErrPermission):
		code = connect.CodePermissionDenied
	}
	return connect.NewError(code, err.Error())
}
