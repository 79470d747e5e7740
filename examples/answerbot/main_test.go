package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/resealtest"
)

// start runs the bot on a phone; it ends with what the channel gives, or by stop.
func start(t *testing.T, p *resealtest.Phone) (ended chan error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	o := p.Options()
	o.Log = slog.New(slog.DiscardHandler)
	go func() { ended <- serve(ctx, p.Dir(), "bot", o) }()
	return ended, func() {
		t.Helper()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the bot ended: %v", err)
		}
	}
}

// awaitBot waits until somebody has the bot's handle.
func awaitBot(t *testing.T, d *resealtest.Device) {
	t.Helper()
	for {
		_, err := d.Contact(t.Context(), "bot")
		if err == nil {
			return
		}
		if _, ok := errors.AsType[*reseal.UnknownAccountError](err); !ok {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ask sends a question, and waits for the answer.
func ask(t *testing.T, d *resealtest.Device, question string) string {
	t.Helper()
	events := d.Events(t.Context())
	d.Text(question, "bot")
	return answered(t, d, events)
}

// answered waits for an answer among events that were asked for before.
func answered(t *testing.T, d *resealtest.Device, events iter.Seq[reseal.Event]) string {
	t.Helper()
	for e := range events {
		if (e.Kind == reseal.KindMessage || e.Kind == reseal.KindReady) && e.Ready {
			return d.Read(e.ID)
		}
	}
	t.Fatal("no answer")
	return ""
}

func TestAnswers(t *testing.T) {
	w := resealtest.New(t)
	ana, home := w.Device("ana"), w.Phone()
	_, stop := start(t, home)
	awaitBot(t, ana)
	if got := ask(t, ana, " hello \n"); got != "Hello ana. You said: hello" {
		t.Errorf("got %q", got)
	}
	if got := ask(t, ana, "help"); got != `Write "time", or anything else.` {
		t.Errorf("got %q", got)
	}
	if got := ask(t, ana, strings.Repeat("long ", 1000)); got != "I only read texts." {
		t.Errorf("got %q", got)
	}
	stop()
	ana.Keep("are you there?", "bot")
	events := ana.Events(t.Context())
	_, stop = start(t, home)
	if got := answered(t, ana, events); got != "Hello ana. You said: are you there?" {
		t.Errorf("after a rest: %q", got)
	}
	stop()
	_, stop = start(t, home) // what stays is not answered again
	if got := ask(t, ana, "again"); got != "Hello ana. You said: again" {
		t.Errorf("after another: %q", got)
	}
	stop()
}

// The first start may have ended before there was an account; and a bot whose
// device was removed comes back as a new one.
func TestStarts(t *testing.T) {
	w := resealtest.New(t)
	ana, home := w.Device("ana"), w.Phone()
	password := []byte("fourteen grey lanterns by the sea")
	if err := os.MkdirAll(home.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeSecret(filepath.Join(home.Dir(), "password"), password); err != nil {
		t.Fatal(err)
	}
	ended, _ := start(t, home)
	awaitBot(t, ana)
	ask(t, ana, "hello")
	other, _, err := w.Phone().Installation().LogIn(t.Context(), "bot", password)
	if err != nil {
		t.Fatal(err)
	}
	devices, err := other.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		if !d.This {
			if err := other.RemoveDevice(t.Context(), d.ID, password); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := <-ended; !errors.Is(err, reseal.ErrSessionEnded) {
		t.Errorf("the bot ended: %v", err)
	}
	_, stop := start(t, home)
	defer stop()
	if got := ask(t, ana, "again"); got != "Hello ana. You said: again" {
		t.Errorf("got %q", got)
	}
}
