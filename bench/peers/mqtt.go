package peers

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reseal/reseal/internal/bench"
)

var mosquitto = &Peer{
	name:    "mosquitto",
	About:   "Mosquitto, MQTT 3.1.1, QoS 1, persistent sessions, persistence on: its store is written every 30 minutes and at the end, no message is synced",
	Install: "apt-get install -y --no-install-recommends mosquitto",
	figures: []string{"flood", "rate", "idle", "drain"},
	find:    onPath("mosquitto"),
	args: func(folder, port string) ([]string, error) {
		conf := filepath.Join(folder, "mosquitto.conf")
		text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\npersistence_location %s/\n"+
			"set_tcp_nodelay true\nmax_queued_messages 0\n", port, folder)
		return []string{"-c", conf}, os.WriteFile(conf, []byte(text), 0o600)
	},
	connect: connectMQTT,
}

// Kinds of MQTT packets with their fixed flags (MQTT 3.1.1, section 2.2).
const (
	mqttConnect   = 0x10
	mqttConnack   = 0x20
	mqttPublish   = 0x30
	mqttPuback    = 0x40
	mqttSubscribe = 0x82
	mqttSuback    = 0x90

	mqttQoS1 = 0x02 // flag of a publish
)

// maxPacket bounds what a peer may send at once, bytes.
const maxPacket = 1 << 20

var errProtocol = errors.New("peers: an answer of the wrong form")

// mqttClient is a user with a topic of his own.
type mqttClient struct {
	conn net.Conn
	mu   sync.Mutex
	last uint16 // packet id
}

func connectMQTT(ctx context.Context, address string, user int, arrived func([]byte)) (bench.RivalClient, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c, r := &mqttClient{conn: conn}, bufio.NewReaderSize(conn, 4096)
	// Version 4, no flags (the session is kept), no keep-alive.
	hello := append(mqttString("MQTT"), 4, 0, 0, 0)
	subscribe := append([]byte{0, 1}, mqttString("inbox/"+name(user))...)
	err = errors.Join(c.write(mqttPacket(mqttConnect, hello, mqttString(name(user)))), c.write(mqttPacket(mqttSubscribe, subscribe, []byte{1})))
	for greeted := false; err == nil && !greeted; {
		greeted, err = c.greeting(r, arrived)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	go func() {
		for {
			kind, body, err := readMQTT(r)
			if err == nil {
				err = c.packet(kind, body, arrived)
			}
			if err != nil {
				_ = conn.Close()
				return
			}
		}
	}()
	return c, nil
}

// greeting reads one packet up to the one that says that the topic is subscribed;
// what waited may come before it.
func (c *mqttClient) greeting(r *bufio.Reader, arrived func([]byte)) (done bool, err error) {
	kind, body, err := readMQTT(r)
	switch {
	case err != nil:
		return false, err
	case kind == mqttConnack && (len(body) != 2 || body[1] != 0), kind == mqttSuback && (len(body) != 3 || body[2] != 1):
		return false, fmt.Errorf("refused: %x", body)
	}
	return kind == mqttSuback, c.packet(kind, body, arrived)
}

// packet takes a message, and acknowledges it.
func (c *mqttClient) packet(kind byte, body []byte, arrived func([]byte)) error {
	if kind&0xf0 != mqttPublish {
		return nil
	}
	if len(body) < 2 {
		return errProtocol
	}
	topic := 2 + int(binary.BigEndian.Uint16(body))
	if kind&mqttQoS1 == 0 || len(body) < topic+2 {
		return errProtocol
	}
	arrived(body[topic+2:])
	return c.write(mqttPacket(mqttPuback, body[topic:topic+2]))
}

func (c *mqttClient) Send(to int, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last+1, 1) // 0 is no id
	head := binary.BigEndian.AppendUint16(mqttString("inbox/"+name(to)), c.last)
	_, err := c.conn.Write(mqttPacket(mqttPublish|mqttQoS1, head, body))
	return err
}

func (c *mqttClient) Close() error { return c.conn.Close() }

func (c *mqttClient) write(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Write(b)
	return err
}

func mqttString(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func mqttPacket(kind byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	// The length is in groups of 7 bits, the least first, as a varint is.
	b := binary.AppendUvarint(append(make([]byte, 0, n+5), kind), uint64(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func readMQTT(r *bufio.Reader) (kind byte, body []byte, err error) {
	if kind, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, nil, err
	}
	if n > maxPacket {
		return 0, nil, errProtocol
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}
