//go:build !linux && !darwin

package handover

import "net"

// checkPeer accepts: who can reach the socket is decided by the folder alone.
func checkPeer(*net.UnixConn) error { return nil }
