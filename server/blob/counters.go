package blob

// Counter is what prometheus.Counter is, as far as this package needs it.
type Counter interface{ Add(float64) }

// Counters are told what happens. Fields may be nil. None carries an id.
type Counters struct {
	BytesIn   Counter           // bytes of parts and lists stored
	BytesOut  Counter           // bytes of contents and lists sent
	Uploads   Counter           // uploads created
	Completed Counter           // blobs made live
	Abandoned Counter           // uploads given up
	Collected Counter           // blobs collected
	Damaged   Counter           // reads of files that are missing or short
	Refused   func(code string) // refusals by their name
}

func count(c Counter, n int64) {
	if c != nil && n > 0 {
		c.Add(float64(n))
	}
}
