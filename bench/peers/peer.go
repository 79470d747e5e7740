package peers

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/reseal/reseal/internal/bench"
)

// Peer is one of the servers, with the settings that it is measured with.
type Peer struct {
	// About says what it is, and what it promises of a message that it took.
	About string
	// Install is a command that makes it to be had.
	Install string

	name    string
	figures []string
	// find is the path of its program; it may have to build it.
	find func(context.Context) (string, error)
	// args writes the settings into a folder, and are the program's arguments.
	args func(folder, port string) ([]string, error)
	// prepare makes accounts and the like for users, nil where there are none.
	prepare func(ctx context.Context, address string, users int) error
	connect func(ctx context.Context, address string, user int, arrived func([]byte)) (bench.RivalClient, error)
}

// All are the servers, in the order of the report.
func All() []*Peer {
	return []*Peer{natsSynced, natsDefault, mosquitto, prosody, ejabberd, nginx}
}

// Named is the peer of a name, nil where there is none.
func Named(name string) *Peer {
	for _, p := range All() {
		if p.name == name {
			return p
		}
	}
	return nil
}

// Name is what its figures begin with.
func (p *Peer) Name() string { return p.name }

// Figures are those that it can be measured for.
func (p *Peer) Figures() []string { return p.figures }

// Find is the path of the peer's program, which it builds where that takes no
// more than the go command. The error says why there is none.
func (p *Peer) Find(ctx context.Context) (string, error) { return p.find(ctx) }

// Exec becomes the peer's server: it writes the settings into a folder, prints an
// object with the url of a port of its own, and does not return unless it fails.
// The process keeps its number, so that it can be measured and stopped.
func (p *Peer) Exec(program, folder string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	args, err := p.args(folder, port)
	if err != nil {
		return err
	}
	scheme := "tcp"
	if p.connect == nil {
		scheme = "http"
	}
	if _, err := fmt.Printf("{\"url\":\"%s://127.0.0.1:%s\"}\n", scheme, port); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", program, syscall.Exec(program, append([]string{program}, args...), os.Environ()))
}

// freePort is a port that nobody has at the moment. These servers cannot be told to
// take one themselves and to say which.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port, l.Close()
}

// Prepare makes what users need.
func (p *Peer) Prepare(ctx context.Context, at string, users int) error {
	if p.prepare == nil {
		return nil
	}
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	return p.prepare(ctx, u.Host, users)
}

// Connect connects a user.
func (p *Peer) Connect(ctx context.Context, at string, roots *x509.CertPool, user int, arrived func([]byte)) (bench.RivalClient, error) {
	if roots != nil || p.connect == nil {
		return nil, errors.New("peers: " + p.name + " is not measured for that")
	}
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	c, err := p.connect(ctx, u.Host, user, arrived)
	if err != nil {
		return nil, fmt.Errorf("%s, user %d: %w", p.name, user, err)
	}
	return c, nil
}

// patience is how long a server has for an answer while somebody connects.
const patience = 30 * time.Second

// dial connects to a server, which has a while for its greetings.
func dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(patience))
}

// onPath finds a program where a shell would, and where Debian has those for
// administrators.
func onPath(name string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		return exec.LookPath("/usr/sbin/" + name)
	}
}

func name(user int) string { return "u" + strconv.Itoa(user) }
