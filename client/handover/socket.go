package handover

import (
	"context"
	"errors"
	"net"

	"github.com/reseal/reseal/internal/unixsocket"
)

const socketName = "owner.sock"

// ErrNoOwner is returned by Run when no process listens in the folder. Nothing
// was done: take the lock and run the command here.
var ErrNoOwner = errors.New("handover: no process owns this folder")

func dial(ctx context.Context, dir string) (*net.UnixConn, error) {
	conn, err := unixsocket.Dial(ctx, dir, socketName)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if noListener(err) {
			return nil, ErrNoOwner
		}
		return nil, err
	}
	if err := checkPeer(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// ErrPeer is returned when the process at the other end belongs to another
// user.
var ErrPeer = errors.New("handover: other side belongs to another user")
