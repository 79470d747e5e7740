package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/crypto/cryptobyte"
)

// Limits of the protocol, in bytes unless said otherwise.
const (
	maxData    = 32 << 10
	maxCommand = 2 << 20
	maxArgs    = 1024 // arguments, and variables
	maxText    = 256 << 10
	maxLabel   = 1 << 10
	maxAnswer  = 4 << 10

	wireVersion = 1
	envPrefix   = "RESEAL_"
)

// kind is the first byte of a frame; its length follows in 4 bytes.
type kind uint8

// The kinds that a caller sends, and then those that the owner sends.
const (
	kindCommand   kind = 1
	kindInput     kind = 2 // the answer to one kindRead
	kindInputEnd  kind = 3
	kindAnswer    kind = 4 // the answer to one kindPrompt
	kindSize      kind = 5
	kindInterrupt kind = 6

	kindStarted kind = 16
	kindOutput  kind = 17
	kindError   kind = 18
	kindRead    kind = 19
	kindPrompt  kind = 20
	kindExit    kind = 21
)

// limits is the longest body of each kind; a kind that is not in it is refused.
var limits = map[kind]int{
	kindCommand: maxCommand, kindInput: maxData, kindInputEnd: 1, kindAnswer: 1 + maxAnswer, kindSize: 4, kindInterrupt: 0,
	kindStarted: 0, kindOutput: maxData, kindError: maxData, kindRead: 0, kindPrompt: 1 + maxLabel, kindExit: 4,
}

// ErrProtocol is returned for bytes that are no frame of the protocol, or one
// that does not belong there: the other side is another version or no Reseal.
var ErrProtocol = errors.New("handover: other side does not speak this protocol")

// wire writes and reads frames. Writes may come from several goroutines.
type wire struct {
	mu sync.Mutex
	rw io.ReadWriter
}

func (w *wire) send(k kind, body []byte) error {
	f := make([]byte, 5, 5+len(body))
	f[0] = byte(k)
	binary.BigEndian.PutUint32(f[1:], uint32(len(body)))
	f = append(f, body...)
	defer clear(f) // answers are passwords
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.rw.Write(f)
	return err
}

func (w *wire) receive() (kind, []byte, error) { return readFrame(w.rw) }

func readFrame(r io.Reader) (kind, []byte, error) {
	var h [5]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	k := kind(h[0])
	limit, ok := limits[k]
	n := binary.BigEndian.Uint32(h[1:])
	if !ok || int64(n) > int64(limit) {
		return 0, nil, fmt.Errorf("%w: frame %d of %d bytes", ErrProtocol, k, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return k, body, nil
}

// Size is the size of a terminal in characters; zero is unknown.
type Size struct{ Columns, Rows uint16 }

func (s Size) encode() []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, s.Columns), s.Rows)
}

func parseSize(b []byte) (Size, error) {
	if len(b) != 4 {
		return Size{}, ErrProtocol
	}
	return Size{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}, nil
}

// Terminal tells which of a command's streams are a terminal, and its size.
type Terminal struct {
	Stdin, Stdout, Stderr bool
	Size                  Size
}

// Command is what one process asks the other to do.
type Command struct {
	// Args are the arguments after the program's name, at most 1024 of at most
	// 256 KiB each, 2 MiB in all.
	Args []string
	// Dir is the absolute working folder that relative names belong to.
	Dir string
	// Env are NAME=value pairs; only names that begin with RESEAL_ may cross.
	Env []string
	// Terminal is the caller's.
	Terminal Terminal
}

// ErrCommand is returned for a Command over its limits, or with a variable
// that may not be handed over.
var ErrCommand = errors.New("handover: command cannot be handed over")

func (c *Command) check() error {
	if len(c.Args) > maxArgs || len(c.Env) > maxArgs {
		return fmt.Errorf("%w: too many arguments", ErrCommand)
	}
	total := 64 + len(c.Dir)
	for _, s := range append(append([]string{c.Dir}, c.Args...), c.Env...) {
		if total += 4 + len(s); len(s) > maxText || total > maxCommand {
			return fmt.Errorf("%w: argument too long", ErrCommand)
		}
	}
	for _, s := range c.Env {
		if !strings.HasPrefix(s, envPrefix) || !strings.Contains(s, "=") {
			return fmt.Errorf("%w: variable without %s", ErrCommand, envPrefix)
		}
	}
	return nil
}

func (c *Command) encode() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16(wireVersion)
	text := func(s string) { b.AddUint32(uint32(len(s))); b.AddBytes([]byte(s)) }
	for _, list := range [][]string{c.Args, c.Env} {
		b.AddUint16(uint16(len(list)))
		for _, s := range list {
			text(s)
		}
	}
	text(c.Dir)
	var flags uint8
	for i, on := range []bool{c.Terminal.Stdin, c.Terminal.Stdout, c.Terminal.Stderr} {
		if on {
			flags |= 1 << i
		}
	}
	b.AddUint8(flags)
	b.AddBytes(c.Terminal.Size.encode())
	return b.BytesOrPanic()
}

func parseCommand(b []byte) (*Command, error) {
	s := cryptobyte.String(b)
	var v uint16
	if !s.ReadUint16(&v) || v != wireVersion {
		return nil, fmt.Errorf("%w: version %d", ErrProtocol, v)
	}
	c, ok := new(Command), true
	text := func() string {
		var n uint32
		var t []byte
		ok = ok && s.ReadUint32(&n) && n <= maxText && s.ReadBytes(&t, int(n))
		return string(t)
	}
	for _, list := range []*[]string{&c.Args, &c.Env} {
		var n uint16
		ok = ok && s.ReadUint16(&n) && n <= maxArgs
		for i := 0; ok && i < int(n); i++ {
			*list = append(*list, text())
		}
	}
	c.Dir = text()
	var flags uint8
	var size []byte
	if !ok || !s.ReadUint8(&flags) || flags > 7 || !s.ReadBytes(&size, 4) || !s.Empty() {
		return nil, fmt.Errorf("%w: command", ErrProtocol)
	}
	c.Terminal = Terminal{Stdin: flags&1 != 0, Stdout: flags&2 != 0, Stderr: flags&4 != 0}
	c.Terminal.Size, _ = parseSize(size)
	return c, c.check()
}
