package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/reseal/reseal/internal/bench/process"
)

// NoCore leaves a server on whatever core the system chooses.
const NoCore = process.NoCore

// DefaultCore is the first core where this process may run on more than one, and
// NoCore otherwise.
func DefaultCore() int {
	if cores := process.Cores(); len(cores) > 1 {
		return cores[0]
	}
	return NoCore
}

// Options say what to measure, and where.
type Options struct {
	// Only are the names of the figures to take; none is all.
	Only []string
	// Histogram is for who shows the values: draw how they are spread.
	Histogram bool
	// Soak takes [Soaks] in the place of [Figures].
	Soak bool
	// Quick takes every figure with little load and for a moment: to see that
	// all of it works. Its values mean nothing.
	Quick bool
	// Brief takes every figure for a shorter time than its definition says, as
	// [BriefSizes] tells: for several runs that are compared.
	Brief bool
	// Server is the URL of a running server, which gets accounts and messages;
	// PID its process, if it is on this machine, for processor time and memory.
	// Without it, each figure starts a server of its own.
	Server string
	PID    int
	// Core is the core that the server is put on, with everything else kept off
	// it; NoCore for none. Only servers that are started here.
	Core int
	// Folder is where servers and clients have their files, in a new folder that
	// is removed at the end. Its file system is what durable means.
	Folder string
	// Command makes a command of this program; ServerArgs go to its serve.
	Command    func(args ...string) *exec.Cmd
	ServerArgs []string
	// Rivals are measured, too, under their names.
	Rivals []Rival
	// Began is told of each figure when it begins, Emit of each value.
	Began func(Figure)
	Emit  func(Value) error
}

// Run takes the figures one after the other. It ends at the first that fails;
// the values of those before have been told.
func Run(ctx context.Context, o Options) (err error) {
	figures, err := o.choose()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.Folder, "reseal-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	core := o.Core
	if o.Server != "" || len(process.Cores()) < 2 {
		core = NoCore
	}
	back, err := process.Leave(core)
	if err != nil {
		return err
	}
	defer back()
	for i, f := range figures {
		if o.Began != nil {
			o.Began(f)
		}
		s := &stage{o: o, sizes: whole, core: core, figure: f, dir: filepath.Join(dir, fmt.Sprint(i))}
		switch {
		case o.Quick:
			s.sizes = quick
		case o.Brief:
			s.sizes = brief
		}
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("bench: %s: %w", f.Name, err)
		}
	}
	return nil
}

// stage is what one figure works with.
type stage struct {
	sizes
	o      Options
	core   int
	figure Figure
	dir    string
	given  []string // names of the values that were told
	stops  []func() error
	own    []*phone // in the order in which they were made
}

func (s *stage) run(ctx context.Context) (err error) {
	defer func() {
		for _, stop := range slices.Backward(s.stops) {
			err = errors.Join(err, stop())
		}
	}()
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	if err := s.figure.run(ctx, s); err != nil {
		return err
	}
	for _, m := range s.figure.Values {
		if !slices.Contains(s.given, m.Name) && !(m.ofServer && !s.o.readable()) {
			return fmt.Errorf("internal error: no value %q", m.Name)
		}
	}
	return nil
}

// tell gives out a value under its name; one of the server's process only where
// that is known.
func (s *stage) tell(m Meaning, v Value) error {
	if m.ofServer && !s.o.readable() {
		return nil
	}
	s.given = append(s.given, m.Name)
	v.Figure, v.Unit = s.figure.Name+"."+m.Name, m.Unit
	return s.o.Emit(v)
}
