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
	"github.com/reseal/reseal/internal/unixsocket"
)

const adminSocket = "admin.sock"

// What the operator's commands fail with.
var (
	errNoAdmin     = errors.New("no server runs with this data folder")
	errAdminRefuse = errors.New("the server refuses")
)

// listenAdmin makes the socket. The store is open, so that one which is there
// belongs to a server that was killed. The folder's mode keeps others out until
// the socket has its own; one that others may enter gets none.
func listenAdmin(data string) (*net.UnixListener, error) {
	info, err := os.Stat(data)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, errors.New("others may write to the data folder: chmod 700 it")
	}
	return unixsocket.Listen(data, adminSocket)
}

// admin is a client of the server that runs with a data folder.
func (c *cli) admin(data string) resealv1connect.AdminServiceClient {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return unixsocket.Dial(ctx, data, adminSocket)
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
