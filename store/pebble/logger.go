package pebble

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

// logger takes what Pebble says. Its chatter is dropped: it would name keys,
// and so accounts, in logs that are kept.
type logger struct {
	slog    *slog.Logger
	fail    func(error)
	damaged func(file string)
}

func (l *logger) Infof(string, ...any) {}

func (l *logger) Errorf(format string, args ...any) {
	l.slog.Error("store: engine reports an error", "detail", fmt.Sprintf(format, args...))
}

// Fatalf must not return, for Pebble's state is undefined behind it. It neither
// ends the process, which has callers to answer, nor unwinds, which would run
// deferred unlocks and let other goroutines into that state.
func (l *logger) Fatalf(format string, args ...any) {
	cause := fatal{text: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			cause.cause = err
		}
	}
	l.fail(cause)
	select {}
}

// fatal is what Pebble said at its end and the error it was about, so that a
// full disk can still be told from others.
type fatal struct {
	text  string
	cause error
}

func (f fatal) Error() string { return f.text }
func (f fatal) Unwrap() error { return f.cause }

// events: damage, which Pebble's default answers with Fatalf, stops the store
// here too, but the read that met it returns its error.
func (l *logger) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if isDamage(err) {
				l.damaged(nameOf(err)) // tried again it would be met again
				return
			}
			l.slog.Error("store: background write failed, will be tried again", "err", err)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.damaged(filepath.Base(info.Path))
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			l.slog.Warn("store: writes wait for the disk", "reason", info.Reason)
		},
	}
}
