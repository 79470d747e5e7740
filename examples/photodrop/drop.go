package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/reseal/reseal"
)

// endings are the media types that are photos here, with the ending that their
// files get. What the sender calls a file decides neither.
var endings = map[string]string{"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp"}

// drop sends and receives photos for an account.
type drop struct {
	account *reseal.Account
	out     io.Writer
	told    map[reseal.MessageID]string // what was said last of each
}

// send sends a photo that can be kept for a week.
func (d *drop) send(ctx context.Context, to, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	kind, err := sniff(f)
	if err != nil {
		return err
	}
	if endings[kind] == "" {
		return fmt.Errorf("%s is no photo", path)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sent, err := d.account.Send(ctx, reseal.Outgoing{
		To: []string{to}, File: f, Size: info.Size(), Name: filepath.Base(path), Type: kind,
		Policy: reseal.Keep, Expires: 7 * 24 * time.Hour, Progress: d.progress,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\rsent to %s, for %d of their devices\n", sent[0].To, sent[0].Devices)
	return nil
}

func (d *drop) progress(stage string, done, total uint64) {
	if total > 0 {
		fmt.Fprintf(d.out, "\r%-8s %3d %%", stage, done*100/total)
	}
}

// sniff looks at what a file begins with, and goes back to its start.
func sniff(f *os.File) (string, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	_, err = f.Seek(0, io.SeekStart)
	return http.DetectContentType(head[:n]), err
}

// receive stores what comes in a folder, until ctx ends.
func (d *drop) receive(ctx context.Context, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	d.told = map[reseal.MessageID]string{}
	events := d.account.Events(ctx) // before the inbox, so that nothing falls in between
	if err := d.storeAll(ctx, folder); err != nil {
		return err
	}
	for e := range events {
		switch e.Kind {
		case reseal.KindMessage, reseal.KindReady, reseal.KindCaughtUp:
			if err := d.storeAll(ctx, folder); err != nil {
				return err
			}
		case reseal.KindDisconnected:
			fmt.Fprintln(d.out, "offline; waiting for the network")
		case reseal.KindAlarm:
			fmt.Fprintf(d.out, "the keys of %s changed unexpectedly: ask the person\n", e.Handle)
		case reseal.KindSessionEnded:
			return reseal.ErrSessionEnded
		}
	}
	return context.Cause(ctx)
}

// storeAll stores every photo of the inbox that was not stored before.
func (d *drop) storeAll(ctx context.Context, folder string) error {
	inbox, err := d.account.Inbox(ctx, reseal.InboxOptions{})
	if err != nil {
		return err
	}
	for _, m := range inbox {
		switch {
		case m.Handle == "": // who it is from is being asked for
		case m.State == reseal.StateWaiting:
			d.tell(m, "something from %s waits for its key: it opens when somebody who has it is online", m.Handle)
		case m.State == reseal.StateHeld:
			d.tell(m, "something from %s is held back: is it still them?", m.Handle)
		case m.Stranger:
			d.tell(m, "%s, whom you do not know, sent something: accept them, or leave it closed", m.Handle)
		case m.State == reseal.StateReady && !m.Opened:
			switch err := d.store(ctx, m, folder); {
			case errors.Is(err, reseal.ErrFull):
				return err
			case err != nil && ctx.Err() == nil:
				d.tell(m, "from %s: %v", m.Handle, err)
			}
		}
	}
	return nil
}

// tell says something about a message, unless it was said last.
func (d *drop) tell(m reseal.Message, format string, args ...any) {
	if text := fmt.Sprintf(format, args...); d.told[m.ID] != text {
		d.told[m.ID] = text
		fmt.Fprintln(d.out, text)
	}
}

// errNoPhoto: what was sent is something else.
var errNoPhoto = errors.New("this is no photo: it is left closed")

// store writes a photo into the folder under a name of our own. It is there
// under that name as a whole, or not at all.
func (d *drop) store(ctx context.Context, m reseal.Message, folder string) error {
	return d.account.Open(ctx, m.ID, func(c reseal.Content) error {
		f, err := os.CreateTemp(folder, ".photodrop-*")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name()) // unless it has its own name by then
		defer f.Close()
		if _, err := io.Copy(f, c.Reader); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		kind, err := sniff(f)
		if err != nil {
			return err
		}
		if endings[kind] == "" {
			return errNoPhoto
		}
		name := m.Handle + "-" + m.ID.String()[8:20] + endings[kind]
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		if err := os.Rename(f.Name(), filepath.Join(folder, name)); err != nil {
			return err
		}
		fmt.Fprintf(d.out, "from %s: %s %q\n", m.Handle, name, c.Caption)
		return nil
	}, nil)
}
