// Package unixsocket makes and reaches a socket in a folder of the user's, however
// long the folder's path is: what is behind it belongs to whoever may enter the
// folder.
//
// The package keeps no state and everything in it is safe for concurrent use.
package unixsocket

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
)

// maxPath is the shortest sun_path among the systems we know (macOS 104, Linux
// 108), less the terminating zero.
const maxPath = 103

// withPath calls use with a path of the socket that is short enough for a socket
// address. If its own is too long, it is reached through a symbolic link in a
// fresh 0700 folder for temporary files: the address is only needed for the one
// call, so the link is gone before withPath returns.
func withPath(dir, name string, use func(path string) error) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	if path := filepath.Join(dir, name); len(path) <= maxPath {
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
	return use(filepath.Join(link, name))
}

// Listen makes the socket of a name, of at most 40 bytes, in a folder that
// nobody else may write to. The caller owns the folder, so that a socket which is
// there belongs to a process that was killed: it is replaced. It has mode 0600.
func Listen(dir, name string) (*net.UnixListener, error) {
	if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var l *net.UnixListener
	err := withPath(dir, name, func(path string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	// The path it was made under may be gone by the time it is closed.
	l.SetUnlinkOnClose(false)
	// The folder's mode keeps others out in between.
	if err := os.Chmod(filepath.Join(dir, name), 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Dial reaches the socket that a process made with [Listen]. Errors are of the
// file system and of package net: os.ErrNotExist where there is none, ECONNREFUSED
// where its process is gone.
func Dial(ctx context.Context, dir, name string) (*net.UnixConn, error) {
	var c net.Conn
	err := withPath(dir, name, func(path string) (err error) {
		c, err = new(net.Dialer).DialContext(ctx, "unix", path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}
