package server

import "time"

// SetTimes makes all times of a call short; before Serve.
func SetTimes(s *Server, d time.Duration) {
	s.times = times{d, d, d}
	s.mux = s.newMux() // which has its own time to write
	s.http = s.newHTTP()
}
