package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/handle"
)

const (
	// onlineTimeout is how long a command waits to be up to date.
	onlineTimeout = time.Minute
	// settleTimeout is how long a command stays for what it owes the server.
	// What is left goes out with the next command.
	settleTimeout = 5 * time.Second
)

// resume opens the accounts that are logged in here and not open yet.
func (o *owner) resume(ctx context.Context) error {
	o.sessions.Lock()
	defer o.sessions.Unlock()
	_, err := o.in.Resume(ctx)
	return err
}

// reasons are the errors of single accounts in what Resume returned.
func reasons(err error) map[string]error {
	found := map[string]error{}
	var walk func(error)
	walk = func(err error) {
		if a, ok := err.(*reseal.AccountError); ok {
			found[a.Handle] = a
			return
		}
		switch e := err.(type) {
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				walk(err)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	return found
}

// account is the account that the command is for.
func (c *cli) account(ctx context.Context, o *owner) (*reseal.Account, error) {
	handle, err := c.choose(o)
	if err != nil {
		return nil, err
	}
	if all, err := o.in.LoggedIn(); err == nil {
		c.noteServer(all, handle)
	}
	err = o.resume(ctx)
	if a, ok := o.in.Account(handle); ok {
		return a, nil
	}
	if why := reasons(err)[handle]; why != nil {
		return nil, why
	}
	if err == nil {
		err = reseal.ErrNotLoggedIn
	}
	return nil, err
}

// choose finds the handle of the account that the command is for.
func (c *cli) choose(o *owner) (string, error) {
	all, err := o.in.LoggedIn()
	if c.as != "" {
		h, parseErr := handle.Parse(c.as)
		if parseErr != nil {
			return "", usagef("", "--as: %v", parseErr)
		}
		for _, l := range all {
			if l.Handle == string(h) {
				return l.Handle, nil
			}
		}
	}
	switch {
	case err != nil && (c.as != "" || len(all) != 1):
		return "", err
	case c.as != "" || len(all) == 0:
		return "", reseal.ErrNotLoggedIn
	case len(all) > 1:
		var names []string
		for _, l := range all {
			names = append(names, l.Handle)
		}
		slices.Sort(names)
		return "", usagef("--as HANDLE says which", "several accounts are logged in here: %s", strings.Join(names, ", "))
	}
	return all[0].Handle, nil
}

// with runs f for one account that is up to date, and stays for what f left to
// be told to the server.
func (c *cli) with(ctx context.Context, f func(context.Context, *owner, *reseal.Account) error) error {
	return c.use(ctx, func(ctx context.Context, o *owner) error {
		a, err := c.account(ctx, o)
		if err != nil {
			return err
		}
		defer c.tellNotices(ctx, a)()
		if err := c.online(ctx, a); err != nil {
			return err
		}
		err = f(ctx, o, a)
		settle(ctx, a)
		return err
	})
}

// withStale is with for commands that are of use without a connection, where
// another process had one before.
func (c *cli) withStale(ctx context.Context, f func(context.Context, *owner, *reseal.Account) error) error {
	return c.use(ctx, func(ctx context.Context, o *owner) error {
		a, err := c.account(ctx, o)
		if err != nil {
			return err
		}
		defer c.tellNotices(ctx, a)()
		if err := c.online(ctx, a); errors.Is(err, reseal.ErrOffline) || errors.Is(err, errTimeout) {
			c.notef("reseal: no server answers; this is what is known here")
		} else if err != nil {
			return err
		}
		err = f(ctx, o, a)
		settle(ctx, a)
		return err
	})
}

func (c *cli) online(ctx context.Context, a *reseal.Account) error {
	ctx, cancel := context.WithTimeoutCause(ctx, onlineTimeout, errTimeout)
	defer cancel()
	return a.Online(ctx)
}

// settle waits until the server knows what it should. Nothing depends on it:
// all of it is stored and goes out later otherwise.
func settle(ctx context.Context, a *reseal.Account) {
	if ctx.Err() != nil || !a.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	_ = a.Settle(ctx)
}

// find finds a message by a prefix of its id.
func find(ctx context.Context, a *reseal.Account, prefix string) (reseal.Message, error) {
	return a.Find(ctx, strings.ToLower(strings.TrimSpace(prefix)))
}

// counts are how many messages are in some states.
type counts struct {
	ready, waiting, update int
}

// pending counts the messages that can be opened, those that wait for keys, and
// those that need a newer version, after waiting for keys for at most d.
func pending(ctx context.Context, a *reseal.Account, d time.Duration) (n counts, err error) {
	err = poll(ctx, d, func() (bool, error) {
		var all []reseal.Message
		if all, err = a.Inbox(ctx, reseal.InboxOptions{}); err != nil {
			return false, err
		}
		n = counts{}
		for _, m := range all {
			switch m.State {
			case stateReady:
				n.ready++
			case stateWaiting:
				n.waiting++
			case reseal.StateUpdate:
				n.update++
			}
		}
		return n.waiting == 0, nil
	})
	return n, err
}

// poll asks f until it is done, for at most d.
func poll(ctx context.Context, d time.Duration, f func() (done bool, err error)) error {
	deadline := time.Now().Add(d)
	for {
		done, err := f()
		if done || err != nil || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-time.After(min(50*time.Millisecond, time.Until(deadline))):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
