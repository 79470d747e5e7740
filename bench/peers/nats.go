package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/reseal/reseal/internal/bench"
)

const natsModule = "github.com/nats-io/nats-server/v2@v2.15.2"

var (
	natsSynced  = jetStream("nats-synced", "always", "every message is synced before it is acknowledged")
	natsDefault = jetStream("nats", "2m", "synced every 2 minutes, as is its default: not what it acknowledges", "idle", "drain")
)

func jetStream(label, sync, promise string, more ...string) *Peer {
	return &Peer{
		name:    label,
		About:   "NATS JetStream 2.15.2, a work queue in files, a durable consumer a user; " + promise,
		Install: "go install " + natsModule + " (the run does it)",
		figures: append([]string{"flood", "rate"}, more...),
		find:    buildNATS,
		args: func(folder, port string) ([]string, error) {
			conf := filepath.Join(folder, "nats.conf")
			text := fmt.Sprintf("listen: \"127.0.0.1:%s\"\nmax_connections: 19000\njetstream { store_dir: %q, sync_interval: %s }\n",
				port, filepath.Join(folder, "jetstream"), sync)
			return []string{"-c", conf}, os.WriteFile(conf, []byte(text), 0o600)
		},
		prepare: prepareNATS, connect: connectNATS,
	}
}

// buildNATS builds the server once, outside of this project's modules.
func buildNATS(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(natsModule, "@")
	folder := filepath.Join(cache, "reseal-bench", "nats-server-"+version)
	path := filepath.Join(folder, "nats-server")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cmd := exec.CommandContext(ctx, "go", "install", natsModule)
	cmd.Env = append(os.Environ(), "GOBIN="+folder, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building it: %w: %s", err, out)
	}
	return path, nil
}

// natsClient is a connection. One goroutine reads; who asks waits for the line
// with the answer.
type natsClient struct {
	conn net.Conn
	r    *bufio.Reader
	mu   sync.Mutex
}

func dialNATS(ctx context.Context, address string) (*natsClient, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &natsClient{conn: conn, r: bufio.NewReaderSize(conn, 8192)}
	err = c.write("CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"go\",\"version\":\"0\",\"protocol\":1}\r\nPING\r\n")
	for ready := false; err == nil && !ready; { // INFO, PONG
		var line string
		if line, err = c.r.ReadString('\n'); err == nil && strings.HasPrefix(line, "-ERR") {
			err = errors.New(strings.TrimSpace(line))
		}
		ready = strings.HasPrefix(line, "PONG")
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *natsClient) write(s string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := io.WriteString(c.conn, s)
	return err
}

// next is the next message: subject, where to answer, and body.
func (c *natsClient) next() (subject, reply string, body []byte, err error) {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return "", "", nil, err
		}
		switch {
		case bytes.HasPrefix(line, []byte("PING")):
			if err := c.write("PONG\r\n"); err != nil {
				return "", "", nil, err
			}
		case bytes.HasPrefix(line, []byte("-ERR")):
			return "", "", nil, errors.New(string(bytes.TrimSpace(line)))
		case bytes.HasPrefix(line, []byte("MSG ")):
			fields := strings.Fields(string(line)) // MSG subject sid [reply] length
			n, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil || len(fields) < 4 || len(fields) > 5 || n < 0 || n > maxPacket {
				return "", "", nil, errProtocol
			}
			body := make([]byte, n+2)
			if _, err := io.ReadFull(c.r, body); err != nil {
				return "", "", nil, err
			}
			if len(fields) == 5 {
				reply = fields[3]
			}
			return fields[1], reply, body[:n], nil
		}
	}
}

// natsAnswer is what the server says to a request about streams, and to a message
// that it has stored.
type natsAnswer struct {
	Error *struct {
		Description string `json:"description"`
	} `json:"error"`
}

func natsRefusal(body []byte) error {
	var a natsAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return err
	}
	if a.Error != nil {
		return errors.New(a.Error.Description)
	}
	return nil
}

// prepareNATS makes the stream, and a durable consumer for each user that pushes
// to a subject of his own.
func prepareNATS(ctx context.Context, address string, users int) error {
	c, err := dialNATS(ctx, address)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if err := c.write("SUB made 1\r\n"); err != nil {
		return err
	}
	ask := func(subject, body string) error {
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if err := c.write(fmt.Sprintf("PUB %s made %d\r\n%s\r\n", subject, len(body), body)); err != nil {
			return err
		}
		_, _, answer, err := c.next()
		if err == nil {
			err = natsRefusal(answer)
		}
		return err
	}
	err = ask("$JS.API.STREAM.CREATE.INBOX", `{"name":"INBOX","subjects":["inbox.>"],"retention":"workqueue","storage":"file","max_age":2592000000000000,`+
		`"max_consumers":20000,"max_msgs":-1,"max_bytes":-1,"discard":"old","num_replicas":1}`)
	for user := 0; user < users && err == nil && ctx.Err() == nil; user++ {
		u := name(user)
		err = ask("$JS.API.CONSUMER.DURABLE.CREATE.INBOX."+u, fmt.Sprintf(`{"stream_name":"INBOX","config":{"durable_name":%q,"deliver_subject":%q,`+
			`"deliver_policy":"all","ack_policy":"explicit","replay_policy":"instant","filter_subject":%q}}`, u, "deliver."+u, "inbox."+u))
	}
	return errors.Join(err, context.Cause(ctx))
}

func connectNATS(ctx context.Context, address string, user int, arrived func([]byte)) (bench.RivalClient, error) {
	c, err := dialNATS(ctx, address)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.conn.SetDeadline(time.Time{}), c.write("SUB deliver."+name(user)+" 1\r\nSUB stored."+name(user)+" 2\r\n")); err != nil {
		return nil, errors.Join(err, c.conn.Close())
	}
	go func() {
		defer c.conn.Close()
		for {
			subject, reply, body, err := c.next()
			switch {
			case err != nil:
				return
			case strings.HasPrefix(subject, "stored."):
				err = natsRefusal(body)
			default: // of the stream, under the subject that it was sent to
				arrived(body)
				err = c.write(fmt.Sprintf("PUB %s 4\r\n+ACK\r\n", reply))
			}
			if err != nil {
				return
			}
		}
	}()
	return &natsUser{c, "stored." + name(user)}, nil
}

// natsUser is a connected user; the server tells him of each message that it is
// stored.
type natsUser struct {
	*natsClient
	stored string
}

func (u *natsUser) Send(to int, body []byte) error {
	return u.write(fmt.Sprintf("PUB inbox.%s %s %d\r\n%s\r\n", name(to), u.stored, len(body), body))
}

func (u *natsUser) Close() error { return u.conn.Close() }
