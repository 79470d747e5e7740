package main

import (
	"net"
	"os"
)

// notifyService tells the service manager that started this process (systemd,
// and what speaks its protocol) how it is. Without one it does nothing.
func notifyService(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" || path[0] != '/' && path[0] != '@' {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(state))
	_ = conn.Close()
}
