package certs_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal/internal/acmetest"
	"github.com/reseal/reseal/server/certs"
)

func authority(t *testing.T) *acmetest.Authority {
	t.Helper()
	a, err := acmetest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(a.Err(), a.Close()); err != nil {
			t.Error(err)
		}
	})
	return a
}

// pair writes a fresh pair for localhost.
func pair(t *testing.T, a *acmetest.Authority, dir string, life time.Duration) (cert, key string) {
	t.Helper()
	c, k, err := a.Pair(life, "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, c)
	write(t, key, k)
	return cert, key
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// listen answers handshakes with a source's certificate, and nothing else.
func listen(t *testing.T, s certs.Source) (addr string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", certs.Config(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = c.(*tls.Conn).Handshake()
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string, c *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", addr, c)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

// What is agreed on: TLS 1.3 or nothing, and the hybrid group wherever the
// client has it, also if it would rather have another.
func TestWhatIsAgreed(t *testing.T) {
	a := authority(t)
	cert, key := pair(t, a, t.TempDir(), time.Hour)
	f, err := certs.NewFiles(cert, key, certs.FilesOptions{})
	if err != nil {
		t.Fatal(err)
	}
	addr := listen(t, f)
	for name, c := range map[string]struct {
		offered []tls.CurveID
		want    tls.CurveID
	}{
		"what Go offers":  {nil, tls.X25519MLKEM768},
		"only the hybrid": {[]tls.CurveID{tls.X25519MLKEM768}, tls.X25519MLKEM768},
		"no hybrid":       {[]tls.CurveID{tls.X25519}, tls.X25519},
		"P-256 alone":     {[]tls.CurveID{tls.CurveP256}, tls.CurveP256},
	} {
		s, err := dial(t, addr, &tls.Config{RootCAs: a.Roots(), ServerName: "localhost", CurvePreferences: c.offered, NextProtos: []string{"h2"}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Version != tls.VersionTLS13 || s.CurveID != c.want || s.NegotiatedProtocol != "h2" {
			t.Errorf("%s: version %x, group %v, protocol %q", name, s.Version, s.CurveID, s.NegotiatedProtocol)
		}
	}
	for name, c := range map[string]*tls.Config{
		"TLS 1.2":        {MaxVersion: tls.VersionTLS12},
		"TLS 1.0":        {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
		"P-521 alone":    {CurvePreferences: []tls.CurveID{tls.CurveP521}},
		"no common ALPN": {NextProtos: []string{"smtp"}},
	} {
		c.RootCAs, c.ServerName = a.Roots(), "localhost"
		if _, err := dial(t, addr, c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// serial is which certificate a handshake gets.
func serial(t *testing.T, s certs.Source) string {
	t.Helper()
	c, err := s.Certificate(&tls.ClientHelloInfo{ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.SerialNumber.String()
}

func TestFilesAreReadAgain(t *testing.T) {
	a, dir, log, c := authority(t), t.TempDir(), new(bytes.Buffer), &clock{t: time.Now()}
	cert, key := pair(t, a, dir, time.Hour)
	f, err := certs.NewFiles(cert, key, certs.FilesOptions{Now: c.now, Every: time.Second, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	first := serial(t, f)
	pair(t, a, dir, 2*time.Hour)
	if got := serial(t, f); got != first {
		t.Error("looked again at once: every handshake would read files")
	}
	c.pass(time.Second)
	second := serial(t, f)
	if second == first {
		t.Fatal("the new certificate is not taken")
	}
	if left := f.NotAfter().Sub(c.now()); left < 90*time.Minute {
		t.Errorf("ends in %v", left)
	}
	// What is no use leaves the present one, and is told once.
	_, otherKey, err := a.Pair(time.Hour, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	old, _, err := a.Pair(-time.Hour, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	goodCert, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(){
		"key of another": func() { write(t, key, otherKey) },
		"half written":   func() { write(t, cert, goodCert[:100]) },
		"gone":           func() { _ = os.Remove(cert) },
		"endless":        func() { write(t, cert, make([]byte, 2<<20)) },
		"expired":        func() { write(t, cert, old) },
	} {
		log.Reset()
		change()
		for range 3 {
			c.pass(time.Second)
			if got := serial(t, f); got != second {
				t.Errorf("%s: shows %s", name, got)
			}
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%s: %d lines in the log", name, n)
		}
		write(t, cert, goodCert) // with the key of another: no use either
		c.pass(time.Second)
		serial(t, f)
	}
	// A pair in another folder behind a link, as orchestrators change them.
	other := t.TempDir()
	pair(t, a, other, time.Hour)
	for _, name := range []string{"cert.pem", "key.pem"} {
		_ = os.Remove(filepath.Join(dir, name))
		if err := os.Symlink(filepath.Join(other, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	c.pass(time.Second)
	if got := serial(t, f); got == second {
		t.Error("after a change of the link: the old certificate")
	}
}

func TestFilesAtTheStart(t *testing.T) {
	a, dir := authority(t), t.TempDir()
	cert, key := pair(t, a, dir, -time.Hour)
	if _, err := certs.NewFiles(cert, key, certs.FilesOptions{}); !errors.Is(err, certs.ErrExpired) || !strings.Contains(err.Error(), cert) {
		t.Errorf("expired: %v", err)
	}
	if _, err := certs.NewFiles(cert, filepath.Join(dir, "none"), certs.FilesOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no key: %v", err)
	}
	if _, err := certs.NewFiles(key, cert, certs.FilesOptions{}); !errors.Is(err, certs.ErrCertificate) {
		t.Errorf("exchanged: %v", err)
	}
}

// Handshakes at once, while the files change: each gets a whole pair.
func TestFilesWhileTheyChange(t *testing.T) {
	a, dir := authority(t), t.TempDir()
	cert, key := pair(t, a, dir, time.Hour)
	f, err := certs.NewFiles(cert, key, certs.FilesOptions{Every: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	addr := listen(t, f)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				pair(t, a, dir, time.Hour)
			}
		}
	})
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if _, err := dial(t, addr, &tls.Config{RootCAs: a.Roots(), ServerName: "localhost"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	time.AfterFunc(50*time.Millisecond, func() { close(stop) })
	wg.Wait()
}
