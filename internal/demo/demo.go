package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal/internal/bench/process"
	"github.com/reseal/reseal/internal/terminal"
)

// DefaultSize is how long the generated file is, bytes: that of a short video.
const DefaultSize = 48 << 20

// ErrBroken: something was not as promised; the output says what.
var ErrBroken = errors.New("demo: not everything is as promised")

// ErrKeep: the folder for KeepData is not empty.
var ErrKeep = errors.New("demo: the folder to keep the data in is not empty")

// Options of the demonstration.
type Options struct {
	// Files are sent; without any, the project's picture and a generated file
	// of Size bytes (0 is DefaultSize).
	Files []string
	Size  int64
	// KeepData is a folder to work in, which stays: new, or empty. Without it
	// everything is removed in the end.
	KeepData string
	// Out gets the story: as one JSON object a line, or for people, in colours
	// and with the step that is under way where it is a terminal.
	Out      io.Writer
	JSON     bool
	Terminal bool
	Style    terminal.Style
	// Columns is how wide the terminal is; 0 is 80.
	Columns int
	// Server makes the command `reseal` with the arguments given.
	Server func(args ...string) *exec.Cmd

	// between is called after every chapter; tests break things there, or go
	// on with the last chapter by returning false.
	between func(s *story, chapter int) bool
}

// story is a run of the demonstration.
type story struct {
	o        Options
	n        *narrator
	root     string
	data     string // the server's folder
	server   *process.Server
	wire     *wire
	keys     *keyring
	ahead    atomic.Int64 // how far everybody's clock is, nanoseconds
	machines []*machine
	ledger   ledger
	broken   bool
	received int   // files
	compared int64 // bytes
	secrets  []secret
	searched seen

	photo  *content
	films  []*content    // sent in the second chapter
	booked []*content    // their secrets are among secrets
	limit  time.Duration // for one step
	known  []string      // what the server knows, for people

	ana, ben, cleo   person
	anaPhone, family *machine
	tablet           *machine // Ben's
	anas             *device  // Ana on her phone
	bens, cleos      *device  // on the family phone, then on new ones
	bensTablet       *device
	// keptBy are the photos that are kept, by who has them.
	keptBy map[string]*parcel
}

// Run tells the story. It returns ErrBroken if something was not as promised,
// the context's cause if that ended, and what kept it from beginning otherwise.
// Whatever happens, no process and (without KeepData) no folder is left behind.
func Run(ctx context.Context, o Options) (err error) {
	if o.Size <= 0 {
		o.Size = DefaultSize
	}
	if o.Columns <= 0 {
		o.Columns = 80
	}
	s := &story{o: o, limit: 2 * time.Minute, keys: new(keyring), n: &narrator{
		out: o.Out, json: o.JSON, live: o.Terminal, wide: min(o.Columns, columns), style: o.Style, began: time.Now(),
	}}
	if err := s.folder(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.clean()) }()
	if err := s.prepare(); err != nil {
		return err
	}
	s.tell(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	s.end()
	if s.n.err != nil {
		return s.n.err
	}
	if s.broken {
		return ErrBroken
	}
	return nil
}

// folder makes the folder that everything lies in.
func (s *story) folder() (err error) {
	if s.o.KeepData == "" {
		s.root, err = os.MkdirTemp("", "reseal-demo-")
		return err
	}
	if s.root, err = filepath.Abs(s.o.KeepData); err != nil {
		return err
	}
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return err
	}
	old, err := os.ReadDir(s.root)
	if err == nil && len(old) > 0 {
		err = fmt.Errorf("%w: %s", ErrKeep, s.root)
	}
	return err
}

// prepare makes the people, and what they will send.
func (s *story) prepare() (err error) {
	s.data = filepath.Join(s.root, "server", "data")
	for _, dir := range []string{s.data, filepath.Join(s.root, "sent"), filepath.Join(s.root, "received")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	for who, p := range map[string]*person{"Ana": &s.ana, "Ben": &s.ben, "Cleo": &s.cleo} {
		if *p, err = newPerson(who); err != nil {
			return err
		}
	}
	files := s.o.Files
	if len(files) == 0 {
		files = make([]string, 2)
		if files[0], err = shipped(filepath.Join(s.root, "sent")); err != nil {
			return err
		}
		if files[1], err = film(filepath.Join(s.root, "sent"), s.o.Size); err != nil {
			return err
		}
	}
	for i, path := range files {
		c, err := file(path, captions[i%len(captions)])
		if err != nil {
			return err
		}
		if i == 0 {
			s.photo = c
		}
		if i > 0 || len(files) == 1 {
			s.films = append(s.films, c)
		}
		s.limit += time.Duration(c.size) * (time.Second / slowest)
	}
	if s.wire, err = newWire(s.keys); err != nil {
		return err
	}
	return nil
}

// slowest is how many bytes a second everything is expected to do at least.
const slowest = 1 << 20

// captions go with the files.
var captions = []string{"the lake, this morning at six", "and the crossing, all of it"}

// clean ends what runs and removes what was made.
func (s *story) clean() error {
	var errs []error
	for _, m := range s.machines {
		errs = append(errs, m.off())
	}
	if s.server != nil {
		s.server.Kill()
	}
	if s.wire != nil {
		s.wire.close()
	}
	if s.o.KeepData == "" {
		errs = append(errs, os.RemoveAll(s.root))
	}
	return errors.Join(errs...)
}

// now is everybody's clock.
func (s *story) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// step does one step of the story, unless an earlier one went wrong.
func (s *story) step(ctx context.Context, name, text string, f func(ctx context.Context, r *result) error) {
	if s.broken || ctx.Err() != nil {
		return
	}
	s.n.doing(text)
	began, r := time.Now(), new(result)
	limited, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	err := f(limited, r)
	if ctx.Err() != nil {
		s.n.undo()
		return
	}
	s.n.step(name, text, r, time.Since(began), err)
	s.broken = err != nil
}

// secret books what is to be searched for of a content.
func (s *story) secret(c *content) error {
	for _, known := range s.booked {
		if known == c {
			return nil
		}
	}
	all, err := c.secrets()
	s.booked, s.secrets = append(s.booked, c), append(s.secrets, all...)
	return err
}
