package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal/internal/bench"
)

// scripted is a server for one connection, on loopback.
func scripted(t *testing.T, serve func(*bufio.Reader, io.Writer) error) (address string, ended <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		defer l.Close()
		c, err := l.Accept()
		if err != nil {
			result <- err
			return
		}
		defer c.Close()
		if err = c.SetDeadline(time.Now().Add(time.Minute)); err == nil {
			err = serve(bufio.NewReader(c), c)
		}
		result <- err
	}()
	return l.Addr().String(), result
}

// roundTrip connects user 7, sends "out" to user 8, and wants "in" to come.
func roundTrip(t *testing.T, connect func(context.Context, string, int, func([]byte)) (bench.RivalClient, error), serve func(*bufio.Reader, io.Writer) error) {
	t.Helper()
	address, ended := scripted(t, serve)
	came := make(chan string, 1)
	c, err := connect(t.Context(), address, 7, func(b []byte) { came <- string(b) })
	if err != nil {
		t.Fatalf("%v; the server: %v", err, <-ended)
	}
	defer c.Close()
	if err := c.Send(8, []byte("out")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := <-came; got != "in" {
		t.Errorf("%q came", got)
	}
}

// expect reads up to something that the client has to say.
func expect(r *bufio.Reader, want string) error {
	var b []byte
	for !bytes.HasSuffix(b, []byte(want)) {
		one, err := r.ReadByte()
		if err != nil {
			return fmt.Errorf("%w: no %q in %q", err, want, b)
		}
		b = append(b, one)
	}
	return nil
}

// play alternates between what the client says and what it is told.
func play(r *bufio.Reader, w io.Writer, lines ...string) error {
	for i, line := range lines {
		var err error
		if i%2 == 0 {
			err = expect(r, line)
		} else {
			_, err = io.WriteString(w, line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestMQTT(t *testing.T) {
	roundTrip(t, connectMQTT, func(r *bufio.Reader, w io.Writer) error {
		return play(r, w,
			"\x10\x0e\x00\x04MQTT\x04\x00\x00\x00\x00\x02u7", "\x20\x02\x00\x00",
			"\x82\x0d\x00\x01\x00\x08inbox/u7\x01", "\x90\x03\x00\x01\x01",
			"\x32\x0f\x00\x08inbox/u8\x00\x01out", "\x32\x0e\x00\x08inbox/u7\x00\x09in",
			"\x40\x02\x00\x09")
	})
}

func TestNATS(t *testing.T) {
	roundTrip(t, connectNATS, func(r *bufio.Reader, w io.Writer) error {
		return play(r, w,
			"", "INFO {}\r\n",
			"PING\r\n", "PONG\r\n",
			"SUB deliver.u7 1\r\nSUB stored.u7 2\r\n", "",
			"PUB inbox.u8 stored.u7 3\r\nout\r\n", "PING\r\nMSG stored.u7 2 13\r\n{\"seq\": 1234}\r\nMSG inbox.u7 1 ack.here 2\r\nin\r\n",
			"PONG\r\nPUB ack.here 4\r\n+ACK\r\n")
	})
}

func TestXMPP(t *testing.T) {
	const features = "<?xml version='1.0'?><stream:stream id='1'><stream:features><bind/></stream:features>"
	out, in := base64.StdEncoding.EncodeToString([]byte("out")), base64.StdEncoding.EncodeToString([]byte("in"))
	roundTrip(t, connectXMPP, func(r *bufio.Reader, w io.Writer) error {
		return play(r, w,
			"version='1.0'>", features,
			base64.StdEncoding.EncodeToString([]byte("\x00u7\x00pw-u7"))+"</auth>", "<success xmlns='x'/>",
			"version='1.0'>", features,
			"</bind></iq>", "<iq type='result'><bind><jid>u7@localhost/d</jid></bind></iq>",
			"<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "<enabled id='1'/>",
			"<presence/>", "<presence from='u7@localhost/d'/>",
			"<payload>"+out+"</payload></encrypted><store xmlns='urn:xmpp:hints'/></message>",
			"<message from='u8@localhost'><body/><encrypted><payload>"+in+"</payload></encrypted></message>",
			"<a xmlns='urn:xmpp:sm:3' h='2'/>")
	})
}

// A refusal is told, and not taken for a welcome.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		connect func(context.Context, string, int, func([]byte)) (bench.RivalClient, error)
		says    string
	}{
		"mqtt": {connectMQTT, "\x20\x02\x00\x05"},
		"nats": {connectNATS, "INFO {}\r\n-ERR 'Authorization Violation'\r\n"},
		"xmpp": {connectXMPP, "<stream:stream><stream:error><conflict/></stream:error>"},
	} {
		address, _ := scripted(t, func(r *bufio.Reader, w io.Writer) error {
			_, err := io.WriteString(w, c.says)
			_, _ = r.ReadByte()
			_, _ = io.Copy(io.Discard, r)
			return err
		})
		if _, err := c.connect(t.Context(), address, 1, func([]byte) {}); err == nil {
			t.Errorf("%s: connected", name)
		}
	}
}

func FuzzElements(f *testing.F) {
	f.Add("<?xml version='1.0'?><stream:stream><a b='c'><d/></a> <e/></stream:stream>")
	f.Add("<message><payload>aW4=</payload></message>")
	f.Add(">")
	f.Fuzz(func(t *testing.T, s string) {
		in := &elements{r: bufio.NewReader(strings.NewReader(s))}
		total := 0
		for {
			b, err := in.next()
			if err != nil {
				break
			}
			if total += len(b); len(b) == 0 || total > len(s) {
				t.Fatalf("%q in %q", b, s)
			}
			payload(b)
		}
	})
}

func FuzzReadMQTT(f *testing.F) {
	f.Add(mqttPacket(mqttPublish|mqttQoS1, mqttString("t"), []byte{0, 1}, []byte("body")))
	f.Add([]byte{0x32, 0x02, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, body, err := readMQTT(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		if again := mqttPacket(kind, body); len(again) > len(b) {
			t.Errorf("%x is read as %x", b, again)
		}
		c := &mqttClient{conn: mute{}}
		_ = c.packet(kind, body, func(got []byte) {
			if !bytes.HasSuffix(body, got) {
				t.Errorf("%x of %x", got, body)
			}
		})
	})
}

func FuzzNATS(f *testing.F) {
	f.Add("INFO {}\r\nPING\r\nMSG a 1 b 2\r\nin\r\n-ERR 'x'\r\n")
	f.Add("MSG a 1 -5\r\n")
	f.Add("MSG 1\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		c := &natsClient{conn: mute{}, r: bufio.NewReader(strings.NewReader(s))}
		for {
			_, _, body, err := c.next()
			if err != nil {
				return
			}
			if !strings.Contains(s, string(body)) {
				t.Fatalf("%q in %q", body, s)
			}
			_ = natsRefusal(body)
		}
	})
}

// mute is a connection that takes everything and says nothing.
type mute struct{ net.Conn }

func (mute) Write(b []byte) (int, error) { return len(b), nil }
func (mute) Read([]byte) (int, error)    { return 0, errors.New("mute") }
