package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/internal/terminal"
)

func newStatus(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show who is logged in here, what waits, and how well it goes",
		Long: `Shows the accounts that are logged in here, how many messages are ready and wait for a
key, and the figures of each device since it was made: messages sent and received, how
many of these needed a retry, in what time they were readable, how many were lost. With
--json also by whom retries were answered, and what else is counted.`,
		Example:     "  reseal status\n  reseal status --json",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{repeatKey: "unseen"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return c.use(cmd.Context(), c.status) },
	}
}

// statusAccount has no counts where the account cannot be opened now.
type statusAccount struct {
	Account   string `json:"account"`
	AccountID string `json:"account_id"`
	Device    string `json:"device"`
	Server    string `json:"server"`
	Ready     *int   `json:"ready"`
	Waiting   *int   `json:"waiting"`
	Update    *int   `json:"update"` // need a newer version of the program
	// Figures and Counters are the device's since it was made.
	Figures  *figures          `json:"figures,omitempty"`
	Counters map[string]uint64 `json:"counters,omitempty"`
	Error    string            `json:"error,omitempty"`
}

type status struct {
	Accounts  []statusAccount `json:"accounts"`
	Server    string          `json:"server"`
	Reachable bool            `json:"reachable"`
	// Ended is the code of why the server ended a login that was here; it goes
	// with the next login.
	Ended string `json:"ended,omitempty"`
}

func (c *cli) status(ctx context.Context, o *owner) error {
	all, err := o.in.LoggedIn()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b reseal.LoggedIn) int { return strings.Compare(a.Handle, b.Handle) })
	why := reasons(o.resume(ctx))
	s := status{Accounts: []statusAccount{}, Server: c.looksAt(all)}
	for _, l := range all {
		if c.as != "" && l.Handle != strings.ToLower(c.as) {
			continue
		}
		c.noteServer(all, l.Handle)
		sa := statusAccount{Account: l.Handle, AccountID: l.Account.String(), Device: l.Device.String(), Server: l.Server}
		if a, ok := o.in.Account(l.Handle); ok {
			told := c.tellNotices(ctx, a)
			if err := c.online(ctx, a); err != nil {
				sa.Error = kindOf(err).code
			}
			told()
			n, err := pending(ctx, a, c.patience(0))
			if err != nil {
				return err
			}
			settle(ctx, a)
			sa.Ready, sa.Waiting, sa.Update = &n.ready, &n.waiting, &n.update
			sa.Figures = figuresOf(a)
			sa.Counters = sa.Figures.others()
		} else if err := why[l.Handle]; err != nil {
			sa.Error = kindOf(err).code
		} else {
			sa.Error = kindOf(reseal.ErrClosed).code
		}
		s.Accounts = append(s.Accounts, sa)
	}
	if err := o.in.Ended(); err != nil {
		s.Ended = kindOf(err).code
		c.notef("hint: %s", endedHint(err))
	}
	s.Reachable = probe(ctx, s.Server, c.plain >= 2).err == nil
	if c.json {
		return c.object(s)
	}
	return c.showStatus(s)
}

func (c *cli) showStatus(s status) error {
	st := c.style()
	if len(s.Accounts) == 0 {
		if err := c.printf("nobody is logged in here\n"); err != nil {
			return err
		}
		c.notef(`hint: "reseal login HANDLE" or "reseal signup HANDLE"`)
	}
	t := terminal.Table{Head: []string{"ACCOUNT", "DEVICE", ">READY", ">WAITING", "SERVER", ""}}
	for _, a := range s.Accounts {
		t.Add(st.Bold(a.Account), a.Device[:8], count(a.Ready), count(a.Waiting), a.Server, st.Red(a.Error))
	}
	if err := t.Write(c.stdout, st); err != nil {
		return err
	}
	for _, a := range s.Accounts {
		if a.Update != nil && *a.Update > 0 {
			if err := c.printf("%s: %d messages need a newer version: update reseal\n", a.Account, *a.Update); err != nil {
				return err
			}
		}
		if a.Figures == nil || a.Figures.Received+a.Figures.Sends == 0 {
			continue
		}
		if err := c.printf("%s: %d sent, %s\n", a.Account, a.Figures.Sends, a.Figures); err != nil {
			return err
		}
	}
	answer := st.Green("reachable")
	if !s.Reachable {
		answer = st.Red("not reachable")
	}
	return c.printf("server %s: %s\n", s.Server, answer)
}

// endedHint says that a login is no more by its server's word, which was told
// when it was found out, perhaps by a command that nobody looked at.
func endedHint(err error) string {
	k := kindOf(err)
	return "the server has ended a login that was here: " + k.message + "; " + k.hint
}

func count(n *int) string {
	if n == nil {
		return "?"
	}
	return strconv.Itoa(*n)
}

// probeTimeout is how long a server may take to greet.
const probeTimeout = 5 * time.Second
