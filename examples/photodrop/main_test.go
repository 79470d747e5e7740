package main

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/resealtest"
)

// terminal is what somebody sees.
type terminal struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *terminal) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *terminal) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// await waits until the terminal shows something.
func (s *terminal) await(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(s.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never shown: %q; this was:\n%s", text, s)
		}
	}
}

// photodrop runs a command on a phone; a password is typed where it is asked for.
func photodrop(t *testing.T, w *resealtest.World, p *resealtest.Phone, handle string, command ...string) (string, error) {
	t.Helper()
	out := new(terminal)
	args := append([]string{"-dir", p.Dir(), handle}, command...)
	err := run(t.Context(), args, bytes.NewReader(append(w.Password(handle), '\n')), out, p.Options())
	return out.String(), err
}

// receiving runs "receive" until stop.
func receiving(t *testing.T, w *resealtest.World, p *resealtest.Phone, handle, folder string) (out *terminal, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out = new(terminal)
	ended := make(chan error, 1)
	go func() {
		args := []string{"-dir", p.Dir(), handle, "receive", folder}
		ended <- run(ctx, args, bytes.NewReader(append(w.Password(handle), '\n')), out, p.Options())
	}()
	return out, func() {
		t.Helper()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("receive: %v", err)
		}
	}
}

func photo(t *testing.T) (name string, pixels []byte) {
	t.Helper()
	picture := image.NewGray(image.Rect(0, 0, 300, 300))
	for i := range picture.Pix {
		picture.Pix[i] = byte(i * i)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(t.TempDir(), "beach.png")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name, b.Bytes()
}

func TestPhotoDrop(t *testing.T) {
	w := resealtest.New(t)
	anas, bens := w.Phone(), w.Phone()
	name, pixels := photo(t)
	for p, handle := range map[*resealtest.Phone]string{anas: "ana", bens: "ben"} {
		if out, err := photodrop(t, w, p, handle, "signup"); err != nil || !strings.Contains(out, "Write this down") {
			t.Fatalf("sign up: %v\n%s", err, out)
		}
	}
	if out, err := photodrop(t, w, anas, "ana", "send", "ben", name); err != nil || !strings.Contains(out, "sent to ben, for 1 of their devices") {
		t.Fatalf("send: %v\n%s", err, out)
	}
	folder := filepath.Join(t.TempDir(), "photos")
	out, stop := receiving(t, w, bens, "ben", folder)
	out.await(t, "ana, whom you do not know, sent something")
	stop()
	if out, err := photodrop(t, w, bens, "ben", "accept", "ana"); err != nil {
		t.Fatalf("accept: %v\n%s", err, out)
	}
	out, stop = receiving(t, w, bens, "ben", folder)
	out.await(t, "from ana: ana-")
	stop()
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 || filepath.Ext(files[0].Name()) != ".png" {
		t.Fatalf("the folder has %v, %v", files, err)
	}
	if got, err := os.ReadFile(filepath.Join(folder, files[0].Name())); err != nil || !bytes.Equal(got, pixels) {
		t.Errorf("another photo: %d bytes, %v", len(got), err)
	}
}

// The screen for a photo that has no key yet, what is no photo, and advice.
func TestWaitingAndRefusing(t *testing.T) {
	w := resealtest.New(t)
	ana, ben := w.Device("ana"), w.Device("ben")
	ben.Read(ana.Text("hello", "ben"))
	if err := ben.Accept(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	ben.Keep("hello", "ana")
	_, pixels := photo(t)
	send := func(content []byte) {
		t.Helper()
		if _, err := ana.Send(t.Context(), reseal.Outgoing{
			To: []string{"ben"}, File: bytes.NewReader(content), Size: int64(len(content)), Name: "../x.png", Type: "image/png", Policy: reseal.Keep,
		}); err != nil {
			t.Fatal(err)
		}
	}
	send(pixels)
	ana.CutOff()
	ben.LogOut()
	folder := t.TempDir()
	out, stop := receiving(t, w, w.Phone(), "ben", folder)
	out.await(t, "something from ana waits for its key")
	ana.Reconnect()
	out.await(t, "from ana: ana-")
	send([]byte("#!/bin/sh\n"))
	out.await(t, "this is no photo")
	stop()
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Errorf("the folder has %v, %v", files, err)
	}

	stranger := w.Phone()
	stranger.CutOff()
	if _, err := photodrop(t, w, stranger, "ben", "receive", folder); advice(err) != "no server answers: is the network there?" {
		t.Errorf("offline: %v", err)
	}
	stranger.Reconnect()
	weak := run(t.Context(), []string{"-dir", stranger.Dir(), "cleo", "signup"}, strings.NewReader("cleo\n"), io.Discard, stranger.Options())
	if !strings.Contains(advice(weak), ": ") || errors.Is(weak, reseal.ErrLogin) {
		t.Errorf("weak password: %v", weak)
	}
	if _, err := photodrop(t, w, stranger, "ben", "send", "ana"); !errors.Is(err, errUsage) {
		t.Errorf("use: %v", err)
	}
}
