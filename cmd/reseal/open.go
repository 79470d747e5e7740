package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/safename"
	"github.com/reseal/reseal/internal/terminal"
)

// openPatience is how long open waits for the key of a message that has none.
const openPatience = 15 * time.Second

func newOpen(c *cli) *cobra.Command {
	var out string
	var force bool
	cmd := &cobra.Command{
		Use:   "open ID",
		Short: "Open a message",
		Long: `Fetches a message, checks all of it, and shows or writes it. A "once" message is
gone everywhere afterwards; until it is shown or written in full, it is not.

Text goes to standard output. A file goes to -o FILE, or under its own name, made
safe, into the working folder (or the folder named by -o); nothing is replaced
unless --force says so. "-o -" is standard output.`,
		Example:     "  reseal open 3f2a9c1d\n  reseal open 3f2a9c1d -o photo.jpg\n  reseal open 3f2a9c1d -o - | tar x",
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{repeatKey: "keyed"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error {
				return c.open(ctx, a, args[0], out, force)
			})
		},
		ValidArgsFunction: c.complete("openable", cobra.ShellCompDirectiveNoFileComp),
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "`FILE` or folder to write to; \"-\" is standard output")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it exists")
	return cmd
}

type openedItem struct {
	ID      string  `json:"id"`
	From    string  `json:"from"`
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Caption string  `json:"caption,omitempty"`
	Bytes   uint64  `json:"bytes"`
	Path    string  `json:"path,omitempty"`
	Text    *string `json:"text,omitempty"`
}

func (c *cli) open(ctx context.Context, a *reseal.Account, prefix, out string, force bool) error {
	if out == "-" && c.json {
		return usagef("leave one of them out", "-o - and --json both write to standard output")
	}
	m, err := find(ctx, a, prefix)
	if err != nil {
		return err
	}
	if c.attempt.shown && m.State == client.IsViewed {
		return nil // all of it was shown before the owner ended
	}
	d := delivery{c: c, folder: c.dir, force: force}
	if err := d.aim(out); err != nil {
		return err
	}
	if m, err = c.awaitKey(ctx, a, m); err != nil {
		return err
	}
	bars := c.bars()
	defer bars.Stop()
	d.bars = bars
	err = a.Open(ctx, m.ID, d.deliver, bars.Report)
	bars.Stop()
	d.discard()
	return err
}

// awaitKey waits for the key of a message that has none yet.
func (c *cli) awaitKey(ctx context.Context, a *reseal.Account, m reseal.Message) (reseal.Message, error) {
	err := poll(ctx, c.patience(openPatience), func() (bool, error) {
		var err error
		m, err = find(ctx, a, m.ID.String())
		return m.State != stateWaiting, err
	})
	return m, err
}

// delivery brings one content to where it belongs.
type delivery struct {
	c      *cli
	bars   *terminal.Bars
	folder string
	name   string // what the user wants; empty is the sender's, made safe
	stdout bool
	force  bool
	// temp is the file until it has its name; mark is a second name of it until
	// the view is recorded.
	temp, mark string
	item       openedItem
}

// aim finds out where to, and whether that can be, before the view is claimed.
func (d *delivery) aim(out string) error {
	switch {
	case out == "-":
		d.stdout = true
		return nil
	case out == "":
		return nil
	}
	path := d.c.path(out)
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && d.c.attempt.again {
		folder, name := filepath.Split(path)
		if d.folder = folder; d.marked(name) {
			d.name = name
			return nil
		}
		d.folder = d.c.dir
	}
	switch {
	case err == nil && info.IsDir():
		d.folder = path
		return nil
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s", errNotFile, out)
	case err == nil && !d.force, errors.Is(err, os.ErrNotExist) && dangling(path):
		return fmt.Errorf("%w: %s", errExists, out)
	}
	d.folder, d.name = filepath.Split(path)
	if d.name == "" { // "x/" where there is no such folder
		return &os.PathError{Op: "open", Path: out, Err: os.ErrNotExist}
	}
	if _, err := os.Stat(d.folder); err != nil {
		return err
	}
	return nil
}

// dangling tells of a link that leads nowhere: it is not to be replaced either.
func dangling(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// deliver takes the content. When it returns nil, what was sent is durable or
// shown, and where it is was told, since a message to be viewed once is gone
// then.
func (d *delivery) deliver(ct reseal.Content) (err error) {
	d.item = openedItem{
		ID: ct.Message.ID.String(), From: ct.Message.Handle, Name: ct.Name, Type: ct.Type, Caption: ct.Caption, Bytes: ct.Size,
	}
	switch {
	case d.stdout:
		d.bars.Stop() // two writers on one terminal
		_, err = io.Copy(d.c.stdout, ct.Reader)
	case ct.Text && ct.Size <= maxText && d.name == "":
		err = d.text(ct)
	default:
		err = d.file(ct)
	}
	if err != nil {
		return err
	}
	d.bars.Stop()
	return d.tell()
}

func (d *delivery) text(ct reseal.Content) error {
	b, err := io.ReadAll(ct.Reader)
	if err != nil {
		return err
	}
	text := string(b)
	d.item.Text = &text
	if d.c.json {
		return nil // told by tell
	}
	d.bars.Stop()
	if d.c.term.Stdout {
		text = terminal.Text(text)
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
	}
	_, err = io.WriteString(d.c.stdout, text)
	return err
}

func (d *delivery) place(ct reseal.Content) (err error) {
	name := d.name
	switch {
	case name != "" && d.force:
		err = safename.Replace(d.temp, filepath.Join(d.folder, name))
	case name != "":
		if err = safename.Only(d.temp, filepath.Join(d.folder, name)); errors.Is(err, os.ErrExist) {
			err = fmt.Errorf("%w: %s", errExists, name)
		}
	default:
		name = d.safeName(ct)
		if d.force {
			err = safename.Replace(d.temp, filepath.Join(d.folder, name))
		} else {
			name, err = safename.Place(d.folder, d.temp, name)
		}
	}
	d.item.Path = filepath.Join(d.folder, name)
	return err
}

// extension is for contents without a name; what the sender says of the type is
// not trusted with more than this.
func extension(ct reseal.Content) string {
	switch {
	case ct.Text, strings.HasPrefix(ct.Type, "text/plain"):
		return ".txt"
	case ct.Type == "image/jpeg":
		return ".jpg"
	case ct.Type == "image/png":
		return ".png"
	case ct.Type == "video/mp4":
		return ".mp4"
	case ct.Type == "application/pdf":
		return ".pdf"
	}
	return ""
}

// discard removes what was not placed, and the mark.
func (d *delivery) discard() {
	for _, name := range []string{d.temp, d.mark} {
		if name != "" {
			_ = os.Remove(name)
		}
	}
}

func (d *delivery) tell() error {
	i := d.item
	if d.c.json {
		return d.c.object(i)
	}
	if i.Caption != "" {
		d.c.notef("%s: %s", name(i.From), terminal.Line(i.Caption))
	}
	if i.Path == "" {
		return nil
	}
	shown := i.Path
	if rel, err := filepath.Rel(d.c.dir, i.Path); err == nil && filepath.IsLocal(rel) {
		shown = rel
	}
	return d.c.printf("%s  %s from %s\n", d.c.style().Bold(terminal.Line(shown)), terminal.Size(i.Bytes), name(i.From))
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }
