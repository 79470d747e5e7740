package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/internal/terminal"
)

const (
	// maxText is the longest text that is taken from standard input, and the
	// longest that is shown as text.
	maxText = 1 << 20
	maxLife = 30 * 24 * time.Hour
)

type sendFlags struct {
	text, name  string
	textSet     bool
	expires     duration
	expiresSet  bool
	keep, queue bool
}

func newSend(c *cli) *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send HANDLE... [FILE]",
		Short: "Send a file or a text",
		Long: `Seals a file or a text, uploads it once, and sends it to every account named.

By default the first view ends it everywhere; --keep is for what stays. FILE "-"
is standard input. With FILE and --text, the text is the caption. If one of the
accounts is unknown, nothing is sent to anybody. Without a server it fails, unless
--queue lets it wait here.

With --text, the last name is taken for a file if it has a "/", or if there is
such a file and it has a "."; "./ben" is always a file.`,
		Example: `  reseal send ben --text "see you at six"
  reseal send ben carla holiday.mp4 --text "look" --expires 7d
  reseal send ben --keep contract.pdf
  tar c folder | reseal send ben - --name folder.tar`,
		Args:        cobra.MinimumNArgs(1),
		Annotations: map[string]string{repeatKey: "keyed"},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.textSet = cmd.Flags().Changed("text")
			f.expiresSet = cmd.Flags().Changed("expires")
			to, file, err := c.parseSend(args, f)
			if err != nil {
				return err
			}
			closeIt, err := c.openSpecial(&file, &f)
			if err != nil {
				return err
			}
			defer closeIt()
			return c.use(cmd.Context(), func(ctx context.Context, o *owner) error { return c.send(ctx, o, to, file, f) })
		},
		ValidArgsFunction: c.complete("handles", cobra.ShellCompDirectiveDefault),
	}
	fl := cmd.Flags()
	fl.StringVar(&f.text, "text", "", `the text to send, or a file's caption; "-" reads it from standard input`)
	fl.StringVar(&f.name, "name", "", "name of the file, where it is not FILE's")
	fl.Var(&f.expires, "expires", "how long it may wait, as in 90s, 15m, 24h, 7d (default and most: 30d)")
	fl.BoolVar(&f.keep, "keep", false, "let it stay readable after the first view")
	fl.BoolVar(&f.queue, "queue", false, "without a server, let it wait here and go out later")
	return cmd
}

// parseSend tells handles from the file.
func (c *cli) parseSend(args []string, f sendFlags) (to []string, file string, err error) {
	if f.expires < 0 || (f.expiresSet && f.expires == 0) || time.Duration(f.expires) > maxLife {
		return nil, "", usagef("more than nothing, and 30d is the most", "--expires %s", time.Duration(f.expires))
	}
	last := args[len(args)-1]
	isFile := !f.textSet || last == "-" || strings.ContainsAny(last, `/\`)
	if !isFile {
		info, err := os.Stat(c.path(last))
		switch _, notHandle := handle.Parse(last); {
		case err != nil || info.IsDir():
		case strings.Contains(last, ".") || notHandle != nil:
			isFile = true
		default:
			return nil, "", usagef("write ./"+last+" for the file", "%s is a file here, and could be a handle", last)
		}
	}
	to = args
	if isFile {
		to, file = args[:len(args)-1], last
	}
	switch {
	case len(to) == 0 && f.textSet:
		return nil, "", usagef("reseal send HANDLE FILE --text CAPTION", "to whom?")
	case len(to) == 0:
		return nil, "", usagef("give a FILE, or --text", "what is to be sent?")
	case file == "-" && f.text == "-":
		return nil, "", usagef("", "standard input cannot be both file and text")
	case file == "" && f.name != "":
		return nil, "", usagef("", "--name is for files")
	}
	for _, h := range to {
		if _, err := handle.Parse(h); err != nil {
			return nil, "", usagef("the file comes last, and only one", "not a handle: %q", h)
		}
	}
	return to, file, nil
}

func (c *cli) send(ctx context.Context, o *owner, to []string, file string, f sendFlags) error {
	a, err := c.account(ctx, o)
	if err != nil {
		return c.unknownSend(err)
	}
	out := reseal.Outgoing{Key: c.attempt.key, To: to, Text: f.text, Expires: time.Duration(f.expires), Queue: f.queue, Policy: reseal.Once, Size: -1}
	if f.keep {
		out.Policy = reseal.Keep
	}
	if c.attempt.shown {
		c.stdout = io.Discard // all of it is shown at once
	}
	if c.attempt.lost && (f.text == "-" || file == "-") {
		// All that counts is what the owner that had it made of it.
		f.text, file, out.File, out.Size = "", "", lostInput{}, 0
	}
	if f.text == "-" {
		b, err := bounded(ctx, c.stdin, maxText)
		if err != nil {
			return err
		}
		out.Text = string(b)
	}
	if file != "" {
		out.Caption, out.Text = out.Text, ""
		done, err := c.source(&out, file, f.name)
		if err != nil {
			return err
		}
		defer done()
	}
	bytes := &counter{n: uint64(len(out.Text)), r: out.File}
	if out.File != nil {
		out.File = bytes
	}
	bars := c.bars()
	if bars != nil {
		out.Progress = bars.Report
	}
	sent, err := a.Send(ctx, out)
	bars.Stop()
	settle(ctx, a)
	if errors.Is(err, errOwnerGone) {
		return errOwnerGone // nothing was taken of it before the owner ended
	}
	size := bytes.n
	if file != "" && out.Size > 0 {
		size = uint64(out.Size) // it need not be read a second time
	}
	return c.unknownSend(c.showSent(sent, size, err))
}

// unknownSend says of a repeated command that failed for want of a server that
// its message may go out nevertheless.
func (c *cli) unknownSend(err error) error {
	if c.attempt.again && errors.Is(err, reseal.ErrOffline) {
		return fmt.Errorf("%w: %w", errOwnerGone, err)
	}
	return err
}

// source opens what is to be sent, and describes it.
func (c *cli) source(out *reseal.Outgoing, file, name string) (done func(), err error) {
	done = func() {}
	if file == "-" {
		out.File = c.stdin
	} else {
		f, err := os.Open(c.path(file))
		if err != nil {
			return nil, err
		}
		done = func() { _ = f.Close() }
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%w but a folder: %s", errNotFile, file)
		}
		if err != nil {
			done()
			return nil, err
		}
		if info.Mode().IsRegular() {
			out.Size = info.Size()
		}
		out.File, out.Name = f, filepath.Base(file)
	}
	if name != "" {
		out.Name = filepath.Base(name)
	}
	if err := sniff(out); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// sniff finds the media type: by the name, or by how the content begins.
func sniff(out *reseal.Outgoing) error {
	if out.Type = mime.TypeByExtension(strings.ToLower(filepath.Ext(out.Name))); out.Type != "" {
		return nil
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(out.File, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	out.Type = http.DetectContentType(head[:n])
	out.File = io.MultiReader(bytes.NewReader(head[:n]), out.File)
	return nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n uint64
}

func (r *counter) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.n += uint64(n)
	return n, err
}

type sentTo struct {
	Account   string `json:"account"`
	AccountID string `json:"account_id"`
	Message   string `json:"message,omitempty"`
	Devices   int    `json:"devices"`
	Rewrapped int    `json:"rewrapped"`
	Queued    bool   `json:"queued,omitempty"`
	Error     string `json:"error,omitempty"`
}

// showSent tells what became of each message, also where some were refused.
func (c *cli) showSent(sent []reseal.Sent, size uint64, err error) error {
	result := struct {
		To    []sentTo `json:"to"`
		Bytes uint64   `json:"bytes"`
	}{Bytes: size}
	told := false
	for _, s := range sent {
		t := sentTo{Account: s.To, AccountID: s.Account.String(), Devices: s.Devices, Rewrapped: s.Rewrapped, Queued: s.Queued}
		if s.Message != (reseal.MessageID{}) {
			t.Message = s.Message.String()
		}
		if s.Err != nil {
			t.Error = kindOf(s.Err).code
		}
		told = told || t.Message != "" || t.Queued
		result.To = append(result.To, t)
	}
	if err != nil && !told {
		return err
	}
	if c.json {
		return errors.Join(c.object(result), err)
	}
	st := c.style()
	table := terminal.Table{Head: []string{"TO", "ID", ">SIZE", ">DEVICES", ""}}
	for i, s := range sent {
		id, note := "-", ""
		switch {
		case s.Err != nil:
			note = st.Red("not sent: " + plain(s.Err))
		case s.Queued:
			note = st.Yellow("queued until a server answers")
		case s.Rewrapped > 0:
			note = fmt.Sprintf("%d found by the second look", s.Rewrapped)
		case s.Devices == 0:
			note = st.Yellow("no good key of their devices is known: they ask this device for it")
		}
		if result.To[i].Message != "" {
			id = short(s.Message)
		}
		table.Add(st.Bold(s.To), id, terminal.Size(size), fmt.Sprint(s.Devices), note)
	}
	return errors.Join(table.Write(c.stdout, st), err)
}
