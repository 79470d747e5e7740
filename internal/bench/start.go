package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/internal/bench/histogram"
)

var (
	bareStart = Meaning{"version", "ms", "\"reseal --version\": from starting the process to the first byte on its standard output", false}
	inboxTime = Meaning{"inbox", "ms", "\"reseal inbox\" at a home that is logged in and has one message: the same, with the database opened, the server asked and everything read", false}
)

// start measures commands in processes of their own.
func start(ctx context.Context, s *stage) error {
	h, err := s.host(ctx)
	if err != nil {
		return err
	}
	people, err := s.people(ctx, h, 2)
	if err != nil {
		return err
	}
	_, err = people[0].Send(ctx, reseal.Outgoing{To: []string{people[1].Handle()}, Text: "for the inbox", Policy: reseal.Keep, Expires: lifetime})
	if err != nil {
		return err
	}
	home := s.own[1].Dir()
	for _, in := range s.own {
		if err := in.off(); err != nil {
			return err
		}
	}
	var bare, inbox histogram.Histogram
	for range s.starts {
		if err := s.first(ctx, &bare, "--version"); err != nil {
			return err
		}
		if err := s.first(ctx, &inbox, "inbox", "--json", "--home", home, "--server", h.url); err != nil {
			return err
		}
	}
	return errors.Join(s.tell(inboxTime, latency(&inbox)), s.tell(bareStart, latency(&bare)))
}

// first runs a command to its end, and records when its first byte came.
func (s *stage) first(ctx context.Context, times *histogram.Histogram, args ...string) error {
	cmd := s.command(args...)
	cmd.Env = append(cmd.Env, "RESEAL_KEYRING=file") // where phones here keep their sessions
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	r := bufio.NewReader(out)
	_, silent := r.Peek(1)
	took := time.Since(began)
	_, _ = io.Copy(io.Discard, r)
	if err := errors.Join(cmd.Wait(), context.Cause(ctx)); err != nil {
		return fmt.Errorf("%q: %w", args[0], err)
	}
	if silent != nil {
		return fmt.Errorf("%q says nothing", args[0])
	}
	times.Record(took)
	return nil
}
