package floor

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestMessagesArriveAndAreInTheLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	s, err := New(log)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { _ = s.Serve(l) }()
	connect := func(user int, arrived func([]byte)) *Client {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		k, err := Connect(c, user, arrived)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	came := make(chan []byte, 100)
	bob := connect(2, func(b []byte) { came <- b })
	defer bob.Close()
	ana := connect(1, func([]byte) { t.Error("a message came to its sender") })
	defer ana.Close()
	if err := ana.Send(3, []byte("waits")); err != nil { // nobody is 3 yet
		t.Fatal(err)
	}
	for i := range byte(100) {
		if err := ana.Send(2, []byte{7, 7, 7, i}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range byte(100) {
		if b := <-came; !bytes.Equal(b, []byte{7, 7, 7, i}) {
			t.Fatalf("message %d came as %v", i, b)
		}
	}
	late := make(chan []byte, 1)
	cleo := connect(3, func(b []byte) { late <- b })
	defer cleo.Close()
	if b := <-late; string(b) != "waits" {
		t.Errorf("%q waited", b)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(log); err != nil || bytes.Count(b, []byte{7, 7, 7}) != 100 {
		t.Errorf("the log has %d messages: %v", bytes.Count(b, []byte{7, 7, 7}), err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	s := httptest.NewServer(Files(dir))
	defer s.Close()
	do := func(method, name, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/"+name, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	if code, _ := do("PUT", "x", "bytes"); code != http.StatusCreated {
		t.Errorf("PUT: %d", code)
	}
	if code, b := do("GET", "x", ""); code != http.StatusOK || b != "bytes" {
		t.Errorf("GET: %d %q", code, b)
	}
	for name, want := range map[string]int{".up1": 400, "": 400} {
		if code, _ := do("PUT", name, "b"); code != want {
			t.Errorf("PUT %q: %d, want %d", name, code, want)
		}
	}
	if code, _ := do("DELETE", "x", ""); code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", code)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".up*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(append(appendFrame(nil, deliver, 3, 2), 1, 2))
	f.Add([]byte{0, 0, 0, 4, 1, 0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, user, body, err := readFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again := append(appendFrame(nil, kind, user, len(body)), body...); !bytes.Equal(again, b[:len(again)]) {
			t.Errorf("%x is read as %x", b, again)
		}
	})
}
