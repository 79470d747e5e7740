package handover

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
)

const (
	socketName = "owner.sock"
	// maxPath is the shortest sun_path among the systems we know (macOS 104,
	// Linux 108), less the terminating zero.
	maxPath = 103
)

// withPath calls use with a path of the folder's socket that is short enough
// for a socket address. If the folder's own is too long, it is reached through
// a symbolic link in a fresh 0700 folder for temporary files: the address is
// only needed for the one call, so the link is gone before withPath returns.
func withPath(dir string, use func(path string) error) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	if path := filepath.Join(dir, socketName); len(path) <= maxPath {
		return use(path)
	}
	// A temporary folder with a long name itself would be no help.
	parent := os.TempDir()
	if len(parent) > maxPath/2 {
		parent = "/tmp"
	}
	tmp, err := os.MkdirTemp(parent, "reseal-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	link := filepath.Join(tmp, "d")
	if err := os.Symlink(dir, link); err != nil {
		return err
	}
	return use(filepath.Join(link, socketName))
}

// listen makes the socket. The caller holds the folder's lock, so a socket
// that is there belongs to an owner that was killed.
func listen(dir string) (*net.UnixListener, error) {
	if err := os.Remove(filepath.Join(dir, socketName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var l *net.UnixListener
	err := withPath(dir, func(path string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	// The path it was made under may be gone by the time it is closed.
	l.SetUnlinkOnClose(false)
	// The folder's mode keeps others out in between.
	if err := os.Chmod(filepath.Join(dir, socketName), 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// ErrNoOwner is returned by Run when no process listens in the folder. Nothing
// was done: take the lock and run the command here.
var ErrNoOwner = errors.New("handover: no process owns this folder")

func dial(ctx context.Context, dir string) (*net.UnixConn, error) {
	var c net.Conn
	err := withPath(dir, func(path string) (err error) {
		c, err = new(net.Dialer).DialContext(ctx, "unix", path)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if noListener(err) {
			return nil, ErrNoOwner
		}
		return nil, err
	}
	conn := c.(*net.UnixConn)
	if err := checkPeer(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// ErrPeer is returned when the process at the other end belongs to another
// user.
var ErrPeer = errors.New("handover: other side belongs to another user")
