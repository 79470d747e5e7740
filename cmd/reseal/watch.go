package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/identity"
)

// watchPause is between two tries to open an account without a server.
const watchPause = 2 * time.Second

func newWatch(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "watch",
		Short: "Stay connected and print what happens",
		Long: `Stays connected: receives, answers devices that ask for keys, and prints an event a
line, until it is interrupted. Other commands at the same home run meanwhile as
always.`,
		Example:     "  reseal watch\n  reseal watch --json | jq -r 'select(.event==\"message\").id'",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{repeatKey: "always"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return c.use(cmd.Context(), c.watch) },
	}
}

func (c *cli) watch(ctx context.Context, o *owner) error {
	var yield <-chan struct{}
	if c.linger != nil {
		yield = c.linger()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-yield:
			cancel(exitCode(handedBack))
		case <-ctx.Done():
		}
	}()
	a, err := c.watched(ctx, o)
	if err == nil {
		err = c.events(ctx, a)
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errInterrupted) || errors.Is(cause, context.Canceled) {
			return nil // how a watch ends
		}
		return cause
	}
	return err
}

// watched opens the account, and tries until a server answers.
func (c *cli) watched(ctx context.Context, o *owner) (*reseal.Account, error) {
	for told := false; ; {
		a, err := c.account(ctx, o)
		if !errors.Is(err, reseal.ErrOffline) {
			return a, err
		}
		if !told {
			c.notef("reseal: no server answers; trying on")
			told = true
		}
		select {
		case <-time.After(watchPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (c *cli) events(ctx context.Context, a *reseal.Account) error {
	events := a.Events(ctx)
	if !c.json && !c.again {
		c.notef("watching for %s; interrupt (Ctrl-C) ends it", a.Handle())
	}
	// The account may have connected before anybody listened.
	connected := a.Connected()
	if connected {
		if err := c.event(a, reseal.Event{Kind: reseal.KindConnected, Time: time.Now()}); err != nil {
			return err
		}
	}
	for e := range events {
		again := e.Kind == reseal.KindConnected && connected
		if again || e.Kind == reseal.KindGranted || e.Kind == reseal.KindDenied {
			continue
		}
		connected = e.Kind == reseal.KindConnected || connected && e.Kind != reseal.KindDisconnected
		if err := c.event(a, e); err != nil {
			return err
		}
		switch e.Kind {
		case reseal.KindSessionEnded:
			return reseal.ErrSessionEnded
		case reseal.KindRemoved:
			return reseal.ErrRemoved
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	// Another command has logged out.
	if err := c.event(a, reseal.Event{Kind: reseal.KindSessionEnded, Time: time.Now()}); err != nil {
		return err
	}
	return reseal.ErrSessionEnded
}

// eventItem has, besides event, time and account, what each kind of event has.
type eventItem struct {
	Event     string   `json:"event"`
	Time      string   `json:"time"`
	Account   string   `json:"account"`
	ID        string   `json:"id,omitempty"`
	From      string   `json:"from,omitempty"`
	FromID    string   `json:"from_id,omitempty"`
	To        string   `json:"to,omitempty"`
	Contact   string   `json:"contact,omitempty"`
	Device    string   `json:"device,omitempty"`
	Ready     *bool    `json:"ready,omitempty"`
	Waited    *float64 `json:"waited,omitempty"`
	Retried   *bool    `json:"retried,omitempty"`
	By        string   `json:"by,omitempty"`
	Wraps     int      `json:"wraps,omitempty"`
	Devices   int      `json:"devices,omitempty"`
	Rewrapped int      `json:"rewrapped,omitempty"`
	What      string   `json:"what,omitempty"`
	Since     string   `json:"since,omitempty"`
	Due       string   `json:"due,omitempty"`
	State     string   `json:"state,omitempty"`
	Own       *bool    `json:"own,omitempty"`
	Added     []string `json:"added,omitempty"`
	Removed   []string `json:"removed,omitempty"`
	Text      string   `json:"text,omitempty"`
	Error     string   `json:"error,omitempty"`
}

func eventObject(account string, e reseal.Event) eventItem {
	i := eventItem{Event: string(e.Kind), Time: utc(e.Time), Account: account, Text: e.Text}
	if e.ID != (reseal.MessageID{}) {
		i.ID = e.ID.String()
	}
	switch e.Kind {
	case reseal.KindMessage:
		// A stranger's handle is not known before their keys have come.
		i.From, i.FromID, i.Ready, i.State = e.Handle, e.Peer.String(), &e.Ready, e.State
	case reseal.KindReady:
		waited := e.Waited.Seconds()
		i.From, i.FromID, i.Waited, i.Retried, i.By = e.Handle, e.Peer.String(), &waited, &e.Retried, e.By
	case reseal.KindStored, reseal.KindNotSent:
		i.To, i.Devices, i.Rewrapped = e.Handle, e.Devices, e.Rewrapped
		if e.Err != nil {
			i.Error = kindOf(e.Err).code
		}
	case reseal.KindAnswered:
		i.To, i.Wraps = e.Handle, e.Wraps
	case reseal.KindReceipt:
		i.From, i.Device, i.What = e.Handle, e.Device.String(), e.What
	case reseal.KindEnded:
		i.State = e.State
	case reseal.KindListChanged:
		i.Contact, i.Own, i.Added, i.Removed = e.Handle, &e.Own, deviceIDs(e.Added), deviceIDs(e.Removed)
	case reseal.KindAlarm, reseal.KindClosed:
		i.Contact = e.Handle
	case reseal.KindAccount:
		i.What, i.Since, i.Due = e.What, utc(e.Since), utc(e.Due)
		if !e.Device.IsZero() {
			i.Device = e.Device.String()
		}
	}
	return i
}

func deviceIDs(all []identity.DeviceID) (ids []string) {
	for _, d := range all {
		ids = append(ids, d.String())
	}
	return ids
}

func (c *cli) event(a *reseal.Account, e reseal.Event) error {
	if c.json {
		return c.object(eventObject(a.Handle(), e))
	}
	text := eventText(e)
	if text == "" {
		return nil
	}
	return c.printf("%s  %s\n", c.style().Dim(e.Time.Format("15:04:05")), text)
}

// eventText is an event for people; empty for what they need not know.
func eventText(e reseal.Event) string {
	id, who := short(e.ID), name(e.Handle)
	switch e.Kind {
	case reseal.KindMessage:
		if e.Ready {
			return fmt.Sprintf("%s  from %s, ready", id, who)
		}
		if e.State == string(reseal.StateUpdate) {
			return fmt.Sprintf("%s  from %s, needs a newer version: update reseal", id, who)
		}
		return fmt.Sprintf("%s  from %s, waiting for its key", id, who)
	case reseal.KindReady:
		if !e.Retried {
			return fmt.Sprintf("%s  from %s, ready", id, who)
		}
		return fmt.Sprintf("%s  from %s, ready after %s: key from %s", id, who, e.Waited.Round(time.Millisecond), e.By)
	case reseal.KindStored:
		return fmt.Sprintf("%s  to %s, sent", id, who)
	case reseal.KindNotSent:
		return fmt.Sprintf("to %s, not sent: %s", who, plain(e.Err))
	case reseal.KindAnswered:
		return fmt.Sprintf("gave %d keys to a device of %s", e.Wraps, who)
	case reseal.KindReceipt:
		return fmt.Sprintf("%s  %s by %s", id, e.What, who)
	case reseal.KindEnded:
		return fmt.Sprintf("%s  %s, gone everywhere", id, e.State)
	case reseal.KindListChanged:
		if e.Own {
			who = "you"
		}
		return fmt.Sprintf("devices of %s changed:%s%s", who, listOf(" added ", e.Added), listOf(" removed ", e.Removed))
	case reseal.KindAlarm:
		return fmt.Sprintf("ALARM about %s: %s", who, plain(errors.New(e.Text)))
	case reseal.KindClosed:
		return "the account of " + who + " was closed, the server says"
	case reseal.KindAccount:
		return noticeText(e)
	case reseal.KindRemoved:
		return "this device was removed from the account"
	case reseal.KindSessionEnded:
		return "the session has ended"
	case reseal.KindConnected:
		return "connected"
	case reseal.KindDisconnected:
		return "disconnected"
	case reseal.KindTrouble:
		return "trouble: " + plain(errors.New(e.Text))
	}
	return ""
}

func listOf(verb string, all []identity.DeviceID) string {
	if len(all) == 0 {
		return ""
	}
	var ids []string
	for _, d := range all {
		ids = append(ids, d.String()[:8])
	}
	return verb + strings.Join(ids, ", ")
}
