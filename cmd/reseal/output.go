package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/internal/terminal"
)

// object writes one JSON object on one line, in one write: other processes may
// write to the same pipe.
func (c *cli) object(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := c.stdout.Write(b.Bytes())
	return err
}

// printf writes a result for people.
func (c *cli) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(c.stdout, format, args...)
	return err
}

// notef writes what is neither result nor error: progress and hints.
func (c *cli) notef(format string, args ...any) {
	_, _ = fmt.Fprintf(c.stderr, format+"\n", args...)
}

// bars shows long work on a terminal, nothing elsewhere.
func (c *cli) bars() *terminal.Bars {
	if c.json || !c.term.Stderr {
		return nil
	}
	return terminal.NewBars(c.stderr, int(c.term.Size.Columns))
}

// utc is a time in JSON: RFC 3339, UTC, to the millisecond; empty for none.
func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// short is how ids of messages are shown: 8 digits of the part that differs.
// The first 8 digits of an id are its day, the same for all of a day.
func short(id reseal.MessageID) string { return id.String()[8:16] }

// name is a foreign account's handle as it is shown.
func name(handle string) string {
	if handle == "" {
		return "(unknown)"
	}
	return terminal.Line(handle)
}

// stamped is the version of a release, set by script/release.sh.
var stamped string

// version is what the binary was built from.
func version() string {
	if stamped != "" {
		return stamped
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && (v == "" || v == "(devel)") {
			v = "devel " + s.Value[:12]
		}
	}
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return v
}

// bounded reads a whole stream of at most limit bytes.
func bounded(ctx context.Context, r io.Reader, limit int64) ([]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%w: a text of more than %s", reseal.ErrTooLarge, terminal.Size(uint64(limit)))
	}
	return b, err
}
