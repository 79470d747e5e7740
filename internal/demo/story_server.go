package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/reseal/reseal/internal/terminal"
)

// wanted are all secrets there are by now, except of some kinds.
func (s *story) wanted(except ...string) []secret {
	var out []secret
	for _, x := range append(s.keys.all(), s.secrets...) {
		if !slices.Contains(except, x.what) {
			out = append(out, x)
		}
	}
	return out
}

// expected are the kinds of secret without which a search would prove nothing.
var expected = []string{
	"text", "file name", "caption", "sample of a file", "password", "recovery code", "session secret",
	"account key", "device key", "epoch key", "epoch auth key", "content key", "receipt key", "row key", "book key", "share key",
	"server share", "local share",
}

// glance searches the server's files while it runs.
func (s *story) glance(_ context.Context, r *result) error {
	wanted := s.wanted()
	found, err := newSearch(wanted).inFolders(filepath.Dir(s.data))
	if err != nil {
		return err
	}
	s.searched.add(found)
	r.say("%d files, %s, for %d secrets: none found", found.files, terminal.Size(uint64(found.bytes)), len(wanted))
	return found.err()
}

// evidence is about what the server saw.
func (s *story) evidence(ctx context.Context) {
	broken := s.broken
	s.broken = s.server == nil
	defer func() { s.broken = s.broken || broken }()
	s.n.chapter("What the server saw", "Its folder is all that somebody gets who steals the server. It is searched for every secret of this story.")
	s.step(ctx, "server.stop", "The server ends in good order (SIGTERM)", func(context.Context, *result) error { return s.server.Stop() })
	wanted := s.wanted()
	look := newSearch(wanted)
	s.step(ctx, "search.control", "The search finds what is there to be found", func(_ context.Context, r *result) error {
		return s.control(look, wanted, broken, r)
	})
	s.step(ctx, "search.files", "Every file of the server: each secret as it is, in hex, in base64", func(_ context.Context, r *result) error {
		found, err := look.inFolders(filepath.Dir(s.data))
		if err != nil {
			return err
		}
		s.searched.add(found)
		r.say("%d files, %s: none found", found.files, terminal.Size(uint64(found.bytes)))
		r.set("files", found.files)
		r.set("bytes", found.bytes)
		r.set("found", len(found.found))
		return found.err()
	})
	var rec *records
	s.step(ctx, "search.records", "Every record of the store, unpacked", func(_ context.Context, r *result) (err error) {
		if rec, err = readRecords(look, s.data); err != nil {
			return err
		}
		found := seen{found: rec.found, bytes: int64(rec.bytes)}
		s.searched.add(found)
		r.say("%d records, %s: none found", rec.n, terminal.Size(uint64(rec.bytes)))
		r.set("records", rec.n)
		if err := found.err(); err != nil {
			return err
		}
		for _, p := range []person{s.ana, s.ben, s.cleo} {
			if !broken && !slices.Contains(rec.handles, p.handle) {
				return fmt.Errorf("the handle %s is not among them, so this was not the store", p.handle)
			}
		}
		return nil
	})
	s.step(ctx, "server.knows", "What it does know", func(_ context.Context, r *result) error { return s.knows(rec, r) })
	for _, line := range s.known {
		s.n.lines(strings.Repeat(" ", indent) + s.n.style.Dim(line))
	}
}

// control makes sure that the search is no blind one.
func (s *story) control(look *search, wanted []secret, broken bool, r *result) error {
	counts, names := kinds(wanted)
	for _, what := range expected {
		if counts[what] == 0 && !broken {
			return errors.New("nothing is searched for of the kind: " + what)
		}
	}
	last := wanted[len(wanted)-1].value
	for _, planted := range []string{string(last), "x" + base64.StdEncoding.EncodeToString(append([]byte{7}, last...))} {
		found, _, err := look.in("a test", strings.NewReader(strings.Repeat("-", 1<<20)+planted))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return errors.New("it does not find what was planted")
		}
	}
	r.say("%d secrets of %d kinds, %d forms", len(wanted), len(names), len(look.needles))
	r.set("secrets", counts)
	return nil
}

// knows tells what the server's folder says to somebody who reads it.
func (s *story) knows(rec *records, r *result) error {
	if rec == nil {
		return errors.New("the store was not read")
	}
	sizes, err := blobs(s.data)
	if err != nil {
		return err
	}
	slices.Sort(rec.handles)
	k := rec.kinds
	r.say("handles %s", strings.Join(rec.handles, ", "))
	r.set("handles", rec.handles)
	r.set("records_by_kind", k)
	r.set("ciphertexts", sizes)
	var lengths []string
	for _, n := range sizes {
		lengths = append(lengths, terminal.Size(uint64(n)))
	}
	knows := fmt.Sprintf("It also knows: %d epoch certificates of their devices, %d messages that are over and %d that wait (from whom, to whom, when), "+
		"%d receipts, and the sizes of %d ciphertexts (%s).",
		k["A/cert"], len(rec.ended), len(rec.pending), k["T/c"], len(sizes), strings.Join(lengths, ", "))
	s.known = wrap(knows, columns-indent)
	return nil
}

// end tells the figures.
func (s *story) end() {
	for _, m := range s.machines {
		if m.in != nil {
			for _, a := range m.in.Accounts() {
				s.ledger.note(a)
			}
		}
	}
	broken := s.ledger.broken()
	f := s.ledger.figures()
	s.broken = s.broken || len(broken) > 0 || f.Lost > 0
	f.Bytes, f.Files, f.Searched = s.compared, s.searched.files, s.searched.bytes
	f.Secrets, f.Found = len(s.wanted()), len(s.searched.found)
	f.Steps, f.Failed, f.Seconds = s.n.steps, s.n.failed, seconds(time.Since(s.n.began))
	if s.o.JSON {
		s.n.object(map[string]any{"figures": f})
		return
	}
	s.summary(f, broken)
}

func (s *story) summary(f figures, broken []*parcel) {
	y := s.n.style
	var b bytes.Buffer
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "    %s%s\n", y.Dim(fmt.Sprintf("%-22s", name)), fmt.Sprintf(format, args...))
	}
	row("messages", "%d sent, %s compared byte for byte", f.Messages, terminal.Size(uint64(f.Bytes)))
	row("stale sends", "%d of %d, caught on the sender's side", f.StaleSends, f.Sends)
	row("retries needed", "%d of %d received; answered by an own device %d, the sender %d, its others %d",
		f.RetriesNeeded, f.Received, f.AnsweredOwn, f.AnsweredBy, f.AnsweredOther)
	row("time to readable", "p50 %s, p80 %s, p99 %s, max %s", span(f.p50), span(f.p80), span(f.p99), span(f.max))
	row("secrets searched for", "%d, in %s of the server's files", f.Secrets, terminal.Size(uint64(f.Searched)))
	row("secrets found", "%d", f.Found)
	row("lost", "%d", f.Lost)
	row("promises broken", "%d", f.Broken)
	for _, p := range broken {
		fmt.Fprintf(&b, "    %s\n", y.Red(fmt.Sprintf("%s from %s to %s was to be %s", p.content.what(), p.from, p.to, p.promise)))
	}
	s.n.lines("", y.Bold("    In figures"), strings.TrimRight(b.String(), "\n"), "")
	if s.broken {
		s.n.lines("  " + y.Red("✗") + " Not everything is as promised.")
	} else {
		s.n.lines(fmt.Sprintf("  %s Everything is as promised: %d steps in %s.", y.Green("✓"), f.Steps, span(time.Since(s.n.began))))
	}
	if s.o.KeepData != "" {
		s.n.lines("    All folders are in " + s.root + ".")
	}
}
