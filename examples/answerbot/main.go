// Answerbot is an account without a person: it answers every text that somebody
// sends to it. It shows how a service keeps itself logged in, and how to handle
// each message once although processes die.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/reseal/reseal"
)

func main() {
	dir := flag.String("dir", "answerbot-data", "folder of the bot")
	handle := flag.String("handle", "answerbot", "the bot's handle")
	server := flag.String("server", reseal.DefaultServer, "URL of the server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := serve(ctx, *dir, *handle, reseal.Options{Server: *server, Log: log}); err != nil && ctx.Err() == nil {
		log.Error("answerbot", "error", err)
		os.Exit(1)
	}
}

// serve runs the bot in a folder until ctx ends.
func serve(ctx context.Context, dir, handle string, o reseal.Options) error {
	in, err := reseal.Open(filepath.Join(dir, "reseal"), o)
	if err != nil {
		return err
	}
	defer in.Close()
	a, err := enter(ctx, in, handle, filepath.Join(dir, "password"))
	if err != nil {
		return err
	}
	o.Log.Info("answering", "handle", a.Handle())
	return (&bot{account: a, answer: answer, log: o.Log}).run(ctx)
}

// answer is what the bot has to say.
func answer(from, question string) string {
	switch strings.ToLower(question) {
	case "time":
		return "It is " + time.Now().UTC().Format("15:04") + " UTC."
	case "help":
		return `Write "time", or anything else.`
	}
	return fmt.Sprintf("Hello %s. You said: %s", from, question)
}

// enter is the bot's account: open since the last run, logged in anew, or signed
// up at the very first start. The password is a random one, in a file that only
// the bot can read.
func enter(ctx context.Context, in *reseal.Installation, handle, file string) (*reseal.Account, error) {
	if _, err := in.Resume(ctx); err != nil && !errors.Is(err, reseal.ErrSessionEnded) {
		return nil, err
	}
	if a, ok := in.Account(handle); ok {
		return a, nil
	}
	password, err := os.ReadFile(file)
	if err == nil {
		a, _, err := in.LogIn(ctx, handle, password)
		if !errors.Is(err, reseal.ErrLogin) {
			return a, err
		}
		// The first start ended between the file and the sign-up.
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	} else {
		password = []byte(rand.Text())
		if err := writeSecret(file, password); err != nil {
			return nil, err
		}
	}
	a, code, err := in.SignUp(ctx, handle, password)
	if err != nil {
		return nil, err
	}
	return a, writeSecret(file+"-recovery", []byte(code.Reveal()+"\n"))
}

// writeSecret writes a file that is there as a whole, or not at all.
func writeSecret(name string, b []byte) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
