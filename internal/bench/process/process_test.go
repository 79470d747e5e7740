package process

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// childVar makes the test binary a server that acts as its value says.
const childVar = "RESEAL_BENCH_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVar) {
	case "":
		os.Exit(m.Run())
	case "serve":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Printf(`{"event":"listening","url":"http://127.0.0.1:%d"}`+"\n", runtime.NumCPU())
		<-stop
	case "fail":
		fmt.Fprintln(os.Stderr, "no room for a server")
		os.Exit(3)
	}
}

func child(t *testing.T, how string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVar+"="+how)
	return cmd
}

// TestServer: a server on one core counts one, and is gone after Stop.
func TestServer(t *testing.T) {
	cores := Cores()
	core := NoCore
	if len(cores) > 0 {
		core = cores[len(cores)-1]
	}
	s, err := Start(t.Context(), child(t, "serve"), core, filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	if core != NoCore && s.URL != "http://127.0.0.1:1" {
		t.Errorf("on one core the server counts more: %s", s.URL)
	}
	if got := Cores(); len(got) != len(cores) {
		t.Errorf("the cores of this process went from %v to %v", cores, got)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := s.Stop(); err != nil {
		t.Error("a second Stop:", err)
	}
}

// TestServerThatDied: what ended on its own is not said to have stopped well.
func TestServerThatDied(t *testing.T) {
	s, err := Start(t.Context(), child(t, "serve"), NoCore, filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if s.Stop() == nil {
		t.Error("a server that was killed is said to have ended in good order")
	}
}

func TestServerThatFails(t *testing.T) {
	_, err := Start(t.Context(), child(t, "fail"), NoCore, filepath.Join(t.TempDir(), "log"))
	if err == nil || !strings.Contains(err.Error(), "no room for a server") {
		t.Errorf("the error does not say why: %v", err)
	}
}
