package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
)

const (
	adminSocket = "admin.sock"
	// maxSocketPath is the shortest that systems take, macOS's 104 bytes, less
	// the zero at its end.
	maxSocketPath = 103
)

// What the operator's commands fail with.
var (
	errNoAdmin     = errors.New("no server runs with this data folder")
	errAdminRefuse = errors.New("the server refuses")
)

// withSocket calls f with a path of the data folder's socket that is short
// enough: where its own is not, through a link in a folder for temporary files
// that is gone before this returns.
func withSocket(data string, f func(path string) error) (err error) {
	if path := filepath.Join(data, adminSocket); len(path) <= maxSocketPath {
		return f(path)
	}
	tmp, err := os.MkdirTemp("", "reseal-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	link := filepath.Join(tmp, "d")
	if err := os.Symlink(data, link); err != nil {
		return err
	}
	return f(filepath.Join(link, adminSocket))
}

// listenAdmin makes the socket. The store is open, so that one which is there
// belongs to a server that was killed. The folder's mode keeps others out until
// the socket has its own; one that others may enter gets none.
func listenAdmin(data string) (l *net.UnixListener, err error) {
	info, err := os.Stat(data)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, errors.New("others may write to the data folder: chmod 700 it")
	}
	path := filepath.Join(data, adminSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err = withSocket(data, func(path string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the path that it was made under may be gone by then
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// admin is a client of the server that runs with a data folder.
func (c *cli) admin(data string) resealv1connect.AdminServiceClient {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = withSocket(data, func(path string) error {
			conn, err = (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "unix", path)
			return err
		})
		return conn, err
	}}
	return resealv1connect.NewAdminServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: tr}, "http://admin")))
}

// adminError says what a refusal of the admin's calls means.
func adminError(data string, err error) error {
	switch refusal.Reason(err) {
	case resealv1.Reason_REASON_UNKNOWN_ACCOUNT:
		return errNoAccount
	case resealv1.Reason_REASON_INVITE:
		return errNoInvite
	case resealv1.Reason_REASON_CONFLICT:
		return errInviteUsed
	case resealv1.Reason_REASON_UNSPECIFIED:
	default:
		return errors.Join(errAdminRefuse, err)
	}
	if err != nil {
		if _, e := os.Stat(filepath.Join(data, adminSocket)); errors.Is(e, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || connect.CodeOf(err) == connect.CodeUnavailable {
			return errNoAdmin
		}
	}
	return err
}
