package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// maxFile bounds what is read of a certificate or key file, bytes: a chain of
// many certificates has a few KiB.
const maxFile = 1 << 20

// DefaultEvery is how often the files are looked at, at most.
const DefaultEvery = 5 * time.Second

// What [NewFiles] returns.
var (
	// ErrCertificate: the files have no certificate to use; the cause is with it.
	ErrCertificate = errors.New("certs: no usable certificate")
	// ErrExpired: the certificate has ended.
	ErrExpired = errors.New("expired")
)

// FilesOptions configure [NewFiles]. The zero value is usable.
type FilesOptions struct {
	Log   *slog.Logger     // default discards
	Now   func() time.Time // default time.Now
	Every time.Duration    // default DefaultEvery
}

// Files is a certificate chain and its key in PEM files that may change at any
// time: a handshake looks at them when nobody has for a while. What was changed
// is compared by content, so that a link to another folder, a copy with old
// times, and a file written in place are all seen. A pair that is no use (half
// written, of two certificates, expired) is not taken: the one before goes on
// and the log says so.
type Files struct {
	cert, key string
	o         FilesOptions

	now atomic.Pointer[tls.Certificate]

	// mu is held by the one handshake that looks; the others do not wait.
	mu     sync.Mutex
	looked time.Time
	// seen is what the files had when they were last looked at, good or not:
	// one line in the log for each change.
	seen [2][]byte
}

// NewFiles reads the pair for the first time. Errors are [ErrCertificate] and name
// the file, with the cause: of the file system, of its content, or [ErrExpired].
func NewFiles(cert, key string, o FilesOptions) (*Files, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Every <= 0 {
		o.Every = DefaultEvery
	}
	f := &Files{cert: cert, key: key, o: o}
	pair, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	c, err := f.check(pair)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	f.seen, f.looked = pair, o.Now()
	f.now.Store(c)
	return f, nil
}

// Certificate is the newest pair that was any use.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if f.mu.TryLock() {
		f.look()
		f.mu.Unlock()
	}
	return f.now.Load(), nil
}

// NotAfter is when the certificate in use ends.
func (f *Files) NotAfter() time.Time { return f.now.Load().Leaf.NotAfter }

// Protocols are none.
func (*Files) Protocols() []string { return nil }

// look takes what the files have now. It is called with mu held.
func (f *Files) look() {
	now := f.o.Now()
	if since := now.Sub(f.looked); since >= 0 && since < f.o.Every {
		return
	}
	f.looked = now
	pair, err := f.read()
	if err != nil {
		if f.seen[0] != nil {
			f.o.Log.Error("certs: cannot read the certificate again; the one before goes on", "error", err)
		}
		f.seen = [2][]byte{}
		return
	}
	if bytes.Equal(pair[0], f.seen[0]) && bytes.Equal(pair[1], f.seen[1]) {
		return
	}
	f.seen = pair
	c, err := f.check(pair)
	if err != nil {
		f.o.Log.Error("certs: the new certificate is no use; the one before goes on", "error", err)
		return
	}
	if !bytes.Equal(c.Leaf.Raw, f.now.Load().Leaf.Raw) {
		f.o.Log.Info("certs: took the new certificate", "until", c.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	f.now.Store(c)
}

func (f *Files) read() (pair [2][]byte, err error) {
	for i, name := range []string{f.cert, f.key} {
		if pair[i], err = readFile(name); err != nil {
			return pair, err
		}
	}
	return pair, nil
}

func readFile(name string) ([]byte, error) {
	r, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errors.New("too long")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

func (f *Files) check(pair [2][]byte) (*tls.Certificate, error) {
	c, err := tls.X509KeyPair(pair[0], pair[1])
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", f.cert, f.key, err)
	}
	if c.Leaf == nil { // GODEBUG can say so
		if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return nil, fmt.Errorf("%s: %w", f.cert, err)
		}
	}
	if f.o.Now().After(c.Leaf.NotAfter) {
		return nil, fmt.Errorf("%s: %w on %s", f.cert, ErrExpired, c.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return &c, nil
}
