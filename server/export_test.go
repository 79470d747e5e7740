package server

import "time"

// SetTimes makes all times of a call short; before Serve.
func SetTimes(s *Server, d time.Duration) {
	s.times = times{d, d, d}
	s.mux = s.newMux() // which has its own time to write
	s.http = s.newHTTP()
}

// SetConnTimes makes all times of a connection short; before Serve.
func SetConnTimes(s *Server, d time.Duration) {
	s.http.ReadHeaderTimeout, s.http.IdleTimeout = d, d
	s.http.HTTP2.SendPingTimeout, s.http.HTTP2.PingTimeout, s.http.HTTP2.WriteByteTimeout = d, d, d
}

// HoldBackups makes as if a backup were being made until release is called.
func HoldBackups(s *Server) (release func()) {
	s.copying.Lock()
	return s.copying.Unlock
}
