package server

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
)

// copying is a listener whose connections count the files that the system copies
// into them.
type copying struct {
	net.Listener
	files *atomic.Int64
}

type copyingConn struct {
	*net.TCPConn
	files *atomic.Int64
}

func (l copying) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return copyingConn{c.(*net.TCPConn), l.files}, nil
}

func (c copyingConn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			c.files.Add(1)
		}
	}
	return c.TCPConn.ReadFrom(r)
}

// plain is a listener whose connections can only be written to.
type plain struct{ net.Listener }

func (l plain) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// What a handler copies from a file goes to the system as the file, through the
// connection that counts, and arrives too where the connection takes no files.
func TestFilesAreCopiedByTheSystem(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, want, 0o600); err != nil {
		t.Fatal(err)
	}
	get := func(l net.Listener) {
		t.Helper()
		s := &Server{config: Config{MaxConns: 4, MaxConnsPerAddress: 4}}
		h := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			f, err := os.Open(name)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			w.Header().Set("Content-Length", strconv.Itoa(len(want)))
			if _, err := io.CopyN(w, f, int64(len(want))); err != nil {
				t.Error(err)
			}
		})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = h.Serve(s.bound(l))
		}()
		defer func() {
			_ = h.Close()
			<-done
		}()
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%d bytes came, not the %d of the file: %v", len(b), len(want), err)
		}
	}
	listen := func() net.Listener {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	var files atomic.Int64
	get(copying{listen(), &files})
	if files.Load() != 1 {
		t.Errorf("%d files were copied by the system", files.Load())
	}
	get(plain{listen()})
}
