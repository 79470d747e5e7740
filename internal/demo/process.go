package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Times that the server process gets.
const (
	startPatience = 30 * time.Second
	stopPatience  = 20 * time.Second
)

// process is a running server.
type process struct {
	cmd     *exec.Cmd
	address string // host:port
	exited  chan struct{}
	err     error // of the exit, once exited is closed
}

// startProcess starts `reseal serve` on a port of its own choice, and waits for
// the line that says that it takes connections. What the server writes to its
// standard error goes to the end of the file at log.
func startProcess(ctx context.Context, command func(args ...string) *exec.Cmd, data, log string, offset time.Duration) (*process, error) {
	args := []string{"serve", "--json", "--data", data, "--listen", "127.0.0.1:0"}
	if offset != 0 {
		args = append(args, "--clock-offset", fmt.Sprintf("%ds", int(offset.Seconds())))
	}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &process{cmd: command(args...), exited: make(chan struct{})}
	p.cmd.Env = without(os.Environ(), "RESEAL_")
	p.cmd.Stderr = f
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("the server does not start: %w", err)
	}
	address := make(chan string, 1)
	go p.read(out, address)
	select {
	case p.address = <-address:
		return p, nil
	case <-p.exited:
		b, _ := os.ReadFile(log)
		return nil, fmt.Errorf("the server ended at once (%v): %s", p.err, strings.TrimSpace(string(b)))
	case <-ctx.Done():
		p.kill()
		return nil, context.Cause(ctx)
	case <-time.After(startPatience):
		p.kill()
		return nil, errors.New("the server does not take connections")
	}
}

// read reads the server's standard output to its end, and then its exit.
func (p *process) read(out io.Reader, address chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var line struct {
			Address string `json:"address"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Address != "" {
			select {
			case address <- strings.TrimPrefix(line.Address, "http://"):
			default:
			}
		}
	}
	_, _ = io.Copy(io.Discard, out)
	p.err = p.cmd.Wait()
	close(p.exited)
}

// stop asks the server to end in good order.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.kill()
		return err
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(stopPatience):
		p.kill()
		return errors.New("the server did not drain in time")
	}
}

// kill ends the server as a loss of power would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func without(env []string, prefix string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, prefix) {
			kept = append(kept, v)
		}
	}
	return kept
}
