package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/internal/secretmem"
	"github.com/reseal/reseal/internal/terminal"
)

const (
	// maxSkew is how far a clock may be off: the server refuses more.
	maxSkew = time.Hour
	// someSkew is what a clock that is kept right never has.
	someSkew = 5 * time.Minute
	// minDisk is how much room an installation should have.
	minDisk = 256 << 20
)

func newDoctor(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check this installation, and say what to do",
		Long: `Checks the home folder and its files, the server, the clock, the cryptography of
this build, disk space, how memory is protected, and how well messages come
through. Exit code 1 if a check fails.`,
		Example:     "  reseal doctor\n  reseal doctor --json",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{repeatKey: "unseen"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			ran := false
			err := c.use(cmd.Context(), func(ctx context.Context, o *owner) error {
				ran = true
				return c.doctor(ctx, o, nil)
			})
			var code exitCode
			if ran || errors.As(err, &code) {
				return err
			}
			return c.doctor(cmd.Context(), nil, err) // the folder cannot be used: say why
		},
	}
}

// finding is the outcome of one check. One that is ok may have a hint, too.
type finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Hint   string `json:"hint"`
}

func good(check, detail string) finding { return finding{check, true, detail, ""} }

// bad is a finding out of an error.
func (c *cli) bad(check string, err error) finding {
	_, text, hint := c.explain(err)
	return finding{check, false, text, hint}
}

func (c *cli) doctor(ctx context.Context, o *owner, trouble error) error {
	home := c.home
	if o != nil {
		home = o.in.Dir()
	}
	failed := false
	tell := func(all ...finding) error {
		for _, f := range all {
			failed = failed || !f.OK
			if err := c.finding(f); err != nil {
				return err
			}
		}
		return nil
	}
	checks := []func() []finding{
		func() []finding {
			return []finding{good("version", version()+", "+runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)}
		},
		func() []finding { return []finding{c.checkHome(home, trouble), checkModes(home), checkDisk(home)} },
		func() []finding { return c.checkAccounts(ctx, o) },
		func() []finding { return checkFigures(o) },
		func() []finding { return c.checkServer(ctx, o) },
		func() []finding { return c.checkCrypto() },
		checkMemory,
	}
	for _, check := range checks {
		if err := tell(check()...); err != nil {
			return err
		}
	}
	if failed {
		return errChecks
	}
	return nil
}

func (c *cli) finding(f finding) error {
	if c.json {
		return c.object(f)
	}
	st := c.style()
	mark := st.Green("ok  ")
	if !f.OK {
		mark = st.Red("FAIL")
	}
	if err := c.printf("%s  %-12s  %s\n", mark, f.Check, f.Detail); err != nil || f.Hint == "" {
		return err
	}
	return c.printf("      %-12s  %s\n", "", st.Yellow("-> "+f.Hint))
}

func (c *cli) checkHome(home string, trouble error) finding {
	if trouble != nil {
		return c.bad("home", fmt.Errorf("%s: %w", home, trouble))
	}
	owner := "owned by this process"
	if c.owner != nil {
		owner = "owned by another process, which answers"
	}
	return good("home", home+", "+owner)
}

// checkModes looks for files that other users may touch.
func checkModes(home string) finding {
	const check = "file modes"
	if runtime.GOOS == "windows" {
		return good(check, "left to the folder's access list")
	}
	n := 0
	var open []string
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		n++
		if info.Mode().Perm()&0o077 != 0 {
			open = append(open, path)
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return good(check, "nothing is there yet")
	case err != nil:
		return finding{check, false, err.Error(), "check who owns the folder"}
	case len(open) > 0:
		return finding{check, false, fmt.Sprintf("%d of %d open to others: %s", len(open), n, open[0]), "chmod -R go= " + home + ", and think about who may have read them"}
	}
	return good(check, fmt.Sprintf("%d files and folders, none open to others", n))
}

// ignoreGone: files come and go while others work.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func checkDisk(home string) finding {
	const check = "disk"
	folder := home
	for range 64 {
		if _, err := os.Stat(folder); err == nil {
			break
		}
		folder = filepath.Dir(folder)
	}
	free, known := freeDisk(folder)
	switch {
	case !known:
		return good(check, "free space is not known here")
	case free < minDisk:
		return finding{check, false, terminal.Size(free) + " free", "make room: what is received and sent needs its size, encrypted, for a while"}
	}
	return good(check, terminal.Size(free)+" free")
}

// checkAccounts opens what is logged in here.
func (c *cli) checkAccounts(ctx context.Context, o *owner) (all []finding) {
	const check = "accounts"
	if o == nil {
		return nil
	}
	in, err := o.in.LoggedIn()
	if err != nil {
		all = append(all, c.bad(check, err))
	}
	why := reasons(o.resume(ctx))
	for _, l := range in {
		c.noteServer(in, l.Handle)
		a, ok := o.in.Account(l.Handle)
		switch {
		case !ok && why[l.Handle] != nil:
			all = append(all, c.bad(check, why[l.Handle]))
		case !ok:
			all = append(all, c.bad(check, reseal.ErrClosed))
		default:
			detail := l.Handle + ", device " + l.Device.String()[:8] + ", client database readable"
			if n := a.Unsecured(); n > 0 {
				detail += fmt.Sprintf(", %d things to tell the server", n)
			}
			all = append(all, good(check, detail))
		}
	}
	if len(in) == 0 && err == nil {
		all = append(all, good(check, "nobody is logged in here"))
	}
	if err := o.in.Ended(); err != nil {
		all = append(all, finding{check, true, "a login that was here is no more", endedHint(err)})
	}
	return append(all, sessionRecord(o, in))
}

// sessionRecord says where what a restart needs lies, and what that means.
func sessionRecord(o *owner, in []reseal.LoggedIn) finding {
	const check = "session record"
	files := 0
	for _, l := range in {
		if !l.InKeyring {
			files++
		}
	}
	switch {
	case o.ring == "":
		f := good(check, "in a file that only this user can read: who copies the folder while somebody is logged in can log in as he")
		if runtime.GOOS == "linux" {
			f.Hint = "RESEAL_KEYRING=file says so, or the kernel lends this process no keyring, as in many containers"
		}
		return f
	case files > 0:
		return finding{check, true, fmt.Sprintf("%s is used; %d are in files still", o.ring, files), "log out and in to move them; or the keyring takes nothing now"}
	}
	detail := "locked in " + o.ring + ": a copy of the folder opens nothing"
	if runtime.GOOS == "linux" {
		detail += "; after a restart of the machine the password is asked for"
	}
	return good(check, detail)
}

func (c *cli) checkServer(ctx context.Context, o *owner) []finding {
	server := c.server
	if o != nil {
		all, _ := o.in.LoggedIn() // an error is told by another check
		server = c.looksAt(all)
	}
	g := probe(ctx, server, c.plain >= 2)
	if g.err != nil {
		return []finding{c.bad("server", g.err)}
	}
	all := []finding{good("server", fmt.Sprintf("%s, version %s, greets in %s", server, terminal.Line(g.version), g.took.Round(time.Millisecond)))}
	off := g.offset.Abs().Round(time.Millisecond)
	detail := fmt.Sprintf("%s from the server's", off)
	switch {
	case off >= maxSkew:
		return append(all, finding{"clock", false, detail, "set the clock of this machine: the server refuses what is an hour off"})
	case off >= someSkew:
		return append(all, finding{"clock", true, detail, "set the clock of this machine before it is an hour off"})
	}
	return append(all, good("clock", detail))
}

func (c *cli) checkCrypto() (all []finding) {
	for _, t := range selfTests {
		began := time.Now()
		if err := t.run(); err != nil {
			all = append(all, finding{"crypto", false, t.name + ": " + err.Error(), "this build or machine computes wrongly: do not use it"})
			continue
		}
		all = append(all, good("crypto", t.name+", "+time.Since(began).Round(time.Millisecond).String()))
	}
	return all
}

// checkMemory says what keeps keys from leaving memory. None of it is under our
// control alone, so nothing of it fails.
func checkMemory() []finding {
	f := good("memory", "")
	var is, hints []string
	if coreFiles() {
		is, hints = append(is, "a crash may write a core file"), append(hints, "ulimit -c 0")
	} else {
		is = append(is, "no core files")
	}
	if readable() {
		is = append(is, "other processes of this user may read it")
	} else {
		is = append(is, "closed to other processes of this user")
	}
	switch secretmem.Worst() {
	case secretmem.Secret:
		is = append(is, "keys of databases and sessions where no other process and no core file has them (memfd_secret)")
	case secretmem.Locked:
		is = append(is, "keys of databases and sessions locked: not swapped out")
	default:
		is, hints = append(is, "keys cannot be locked"), append(hints, "allow some memory to be locked (ulimit -l 128)")
	}
	switch on, known := swap(); {
	case !known:
		is = append(is, "swap is not known here")
	case on:
		is, hints = append(is, "swap is on"), append(hints, "encrypt the swap, or turn it off: keys in memory may be written there")
	default:
		is = append(is, "no swap")
	}
	f.Detail, f.Hint = strings.Join(is, "; "), strings.Join(hints, "; ")
	return []finding{f}
}
