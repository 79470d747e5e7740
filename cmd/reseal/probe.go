package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/api/mux"
	"github.com/reseal/reseal/client/remote/link"
)

// greeting is what a server tells whoever connects.
type greeting struct {
	version string
	offset  time.Duration // its clock minus ours
	took    time.Duration
	err     error
}

// probe connects to a server without a session.
func probe(ctx context.Context, url string, plain bool) (g greeting) {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, errTimeout)
	defer cancel()
	states := make(chan link.State, 16)
	began := time.Now()
	l, err := link.Open(link.Options{URL: url, Dial: mux.DialOptions{Plain: plain}, OnState: func(s link.State) {
		select {
		case states <- s:
		default: // nobody reads on after the first that counts
		}
	}})
	if err != nil {
		return greeting{err: err}
	}
	defer l.Close()
	for {
		select {
		case s := <-states:
			switch s.Kind {
			case link.Connected:
				return greeting{version: s.Version, offset: s.Offset, took: time.Since(began)}
			case link.Disconnected:
				return greeting{err: probeError(s.Err)}
			}
		case <-ctx.Done():
			return greeting{err: context.Cause(ctx)}
		}
	}
}

func probeError(err error) error {
	switch {
	case errors.Is(err, link.ErrNotReseal):
		return fmt.Errorf("%w: %w", reseal.ErrNotReseal, err)
	case errors.Is(err, link.ErrOffline):
		return reseal.ErrOffline
	}
	return err
}
