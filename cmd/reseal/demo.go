package main

import (
	"errors"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal/internal/demo"
)

func newDemo(c *cli) *cobra.Command {
	var keep string
	var size int64
	cmd := &cobra.Command{
		Use:   "demo [FILE...]",
		Short: "Tell the whole story on this machine, and verify it",
		Long: `Starts a server and the phones and tablets of three people, each in a folder of
its own, and lets happen what Reseal is for: files and texts, messages that are
gone after one view, logins on the same phone and on new ones with nobody else
there, messages taken back and run out. Every file that comes is compared with the
one sent, and the server's files are searched for every secret of the story.

It needs no server and no account, and touches neither your home nor your server.
Without FILE a picture that comes with Reseal and a generated file are sent. The
exit code is 1 if anything is not as promised. With --json, each step is an object
{step, ok, ...}, and the last line {figures}.`,
		Example: "  reseal demo\n  reseal demo holiday.jpg film.mp4\n  reseal demo --json\n  reseal demo --keep-data /tmp/story",
		RunE: func(cmd *cobra.Command, args []string) error {
			if size < 1 || size > maxDemoSize {
				return usagef("give it in MiB, from 1 to 32768", "not a size for --size: %d", size)
			}
			if keep != "" {
				keep = c.path(keep)
			}
			for i := range args {
				args[i] = c.path(args[i])
			}
			return c.demo(cmd, demo.Options{Files: args, Size: size << 20, KeepData: keep})
		},
	}
	cmd.Flags().Int64Var(&size, "size", demo.DefaultSize>>20, "size of the generated file, `MIB`")
	cmd.Flags().StringVar(&keep, "keep-data", "", "work in `DIR`, which must be new or empty, and leave all folders there")
	return cmd
}

// maxDemoSize is in MiB; a message carries twice that.
const maxDemoSize = 32 << 10

func (c *cli) demo(cmd *cobra.Command, o demo.Options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o.Server = func(args ...string) *exec.Cmd { return exec.Command(self, args...) }
	o.Out, o.JSON, o.Terminal, o.Style, o.Columns = c.stdout, c.json, c.term.Stdout, c.style(), int(c.term.Size.Columns)
	err = demo.Run(cmd.Context(), o)
	switch {
	case errors.Is(err, demo.ErrBroken):
		return exitCode(exitFailed) // it has told what
	case errors.Is(err, errInterrupted) && !c.json:
		c.notef("reseal: interrupted; the server and all phones have ended")
		return exitCode(exitFailed)
	}
	return err
}
