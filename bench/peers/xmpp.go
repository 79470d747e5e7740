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
	"strconv"
	"sync"
	"time"

	"github.com/reseal/reseal/internal/bench"
)

// An XMPP message here is shaped like one of OMEMO: a payload that the server cannot
// read, with the key for one device beside it. Streams are managed (XEP-0198): the
// recipient counts what it took, and that is what lets the server forget it.
const (
	xmppOpen = `<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>`
	// key has the length of one that OMEMO wraps for a device.
	xmppKey = "MwohBQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAYACIwAAAAAAAAAAAAAAAAAAAAAAAA"
)

// elements splits a stream of XML into the children of its root, as long as the
// server writes it like these do: no comments, no CDATA, no ">" in attributes.
type elements struct {
	r   *bufio.Reader
	buf []byte
}

// next is one child with all that is in it, until the next call.
func (e *elements) next() ([]byte, error) {
	e.buf = e.buf[:0]
	for depth := 0; ; {
		part, err := e.r.ReadSlice('>')
		if e.buf = append(e.buf, part...); len(e.buf) > maxPacket {
			return nil, errProtocol
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return nil, err
		}
		start := bytes.LastIndexByte(e.buf, '<')
		if start < 0 || len(e.buf) < start+3 {
			return nil, errProtocol
		}
		tag := e.buf[start:]
		switch {
		case bytes.HasPrefix(tag, []byte("<?")), bytes.HasPrefix(tag, []byte("<stream:stream")):
			e.buf = e.buf[:0]
			continue
		case bytes.HasPrefix(tag, []byte("</stream:stream")):
			return nil, io.EOF
		case tag[1] == '/':
			depth--
		case tag[len(tag)-2] != '/':
			depth++
		}
		if depth == 0 {
			return bytes.TrimSpace(e.buf), nil
		}
	}
}

// is tells whether an element has a name.
func is(element []byte, name string) bool {
	rest, ok := bytes.CutPrefix(element, []byte("<"+name))
	return ok && len(rest) > 0 && bytes.IndexByte([]byte(" />"), rest[0]) >= 0
}

// xmppClient is a user with one device.
type xmppClient struct {
	conn net.Conn
	in   *elements
	mu   sync.Mutex
	sent int
	who  string
}

// xmppBegin opens a stream, up to the server's features.
func xmppBegin(ctx context.Context, address string) (*xmppClient, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &xmppClient{conn: conn, in: &elements{r: bufio.NewReaderSize(conn, 4096)}}
	if err := c.ask(xmppOpen, "stream:features"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *xmppClient) write(s string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := io.WriteString(c.conn, s)
	return err
}

// ask writes something, and wants an element of a name as the answer, which is no
// error of its own.
func (c *xmppClient) ask(s, want string) error {
	if err := c.write(s); err != nil {
		return err
	}
	b, err := c.in.next()
	if err == nil && (!is(b, want) || bytes.Contains(b, []byte("type='error'")) || bytes.Contains(b, []byte(`type="error"`))) {
		err = fmt.Errorf("not %s: %s", want, b)
	}
	return err
}

// prepareXMPP registers users in band (XEP-0077).
func prepareXMPP(ctx context.Context, address string, users int) error {
	const atOnce = 8
	errs := make(chan error, atOnce)
	for part := range atOnce {
		go func() {
			var err error
			for user := part; user < users && err == nil; user += atOnce {
				err = xmppRegister(ctx, address, user)
			}
			errs <- err
		}()
	}
	var err error
	for range atOnce {
		err = errors.Join(err, <-errs)
	}
	return err
}

func xmppRegister(ctx context.Context, address string, user int) error {
	c, err := xmppBegin(ctx, address)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	return c.ask(fmt.Sprintf("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>%[1]s</username><password>pw-%[1]s</password></query></iq>", name(user)), "iq")
}

func connectXMPP(ctx context.Context, address string, user int, arrived func([]byte)) (bench.RivalClient, error) {
	c, err := xmppBegin(ctx, address)
	if err != nil {
		return nil, err
	}
	c.who = name(user)
	password := base64.StdEncoding.EncodeToString([]byte("\x00" + c.who + "\x00pw-" + c.who))
	for _, step := range []struct{ say, want string }{
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + password + "</auth>", "success"},
		{xmppOpen, "stream:features"},
		{"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>d</resource></bind></iq>", "iq"},
		{"<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "enabled"},
	} {
		if err := c.ask(step.say, step.want); err != nil {
			return nil, errors.Join(err, c.conn.Close())
		}
	}
	online := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- c.receive(arrived, online) }()
	if err = c.write("<presence/>"); err == nil {
		select {
		case <-online:
			err = c.conn.SetDeadline(time.Time{})
		case err = <-ended:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, c.conn.Close())
	}
	return c, nil
}

// receive takes what comes and counts it; one's own presence says that one is
// online.
func (c *xmppClient) receive(arrived func([]byte), online chan<- struct{}) error {
	for seen, told := 0, false; ; {
		b, err := c.in.next()
		if err != nil {
			return err
		}
		count := is(b, "r")
		switch {
		case is(b, "message"):
			seen++
			if body, ok := payload(b); ok {
				arrived(body)
				count = true
			}
		case is(b, "iq"), is(b, "presence"):
			seen++
			if is(b, "presence") && !told {
				told = true
				close(online)
			}
		}
		if count {
			if err := c.write("<a xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(seen) + "'/>"); err != nil {
				return err
			}
		}
	}
}

// payload is what a message carries.
func payload(message []byte) (body []byte, ok bool) {
	_, rest, ok := bytes.Cut(message, []byte("<payload>"))
	if !ok {
		return nil, false
	}
	text, _, ok := bytes.Cut(rest, []byte("</payload>"))
	if !ok {
		return nil, false
	}
	body, err := base64.StdEncoding.AppendDecode(nil, text)
	return body, err == nil
}

func (c *xmppClient) Send(to int, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	_, err := fmt.Fprintf(c.conn, "<message to='%s@localhost' type='chat' id='%s-%d'><encrypted xmlns='eu.siacs.conversations.axolotl'>"+
		"<header sid='1'><key rid='1'>%s</key><iv>AAAAAAAAAAAAAAAA</iv></header><payload>%s</payload></encrypted><store xmlns='urn:xmpp:hints'/></message>",
		name(to), c.who, c.sent, xmppKey, base64.StdEncoding.EncodeToString(body))
	return err
}

// Close ends the session: the server does not wait for it to be resumed.
func (c *xmppClient) Close() error {
	err := c.write("</stream:stream>")
	return errors.Join(err, c.conn.Close())
}
