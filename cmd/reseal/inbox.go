package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/terminal"
)

// States of messages that commands act on.
const (
	stateReady   = client.IsReady
	stateWaiting = client.Waiting
)

func newInbox(c *cli) *cobra.Command {
	var o reseal.InboxOptions
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "List what came, or what was sent",
		Long: `Lists what came and can be opened, or waits for a key. --all also lists what is
over (viewed, expired, unsent); --sent lists what went out, with its receipts.
--wait 10s waits that long for messages without a key to become ready.

IDs may be shortened, as they are here, wherever a command takes one.`,
		Example:     "  reseal inbox\n  reseal inbox --all --json\n  reseal inbox --sent",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{repeatKey: "unseen"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStale(cmd.Context(), func(ctx context.Context, _ *owner, a *reseal.Account) error { return c.inbox(ctx, a, o) })
		},
	}
	cmd.Flags().BoolVar(&o.Ended, "all", false, "list also what is over")
	cmd.Flags().BoolVar(&o.Sent, "sent", false, "list what went out")
	return cmd
}

func (c *cli) inbox(ctx context.Context, a *reseal.Account, o reseal.InboxOptions) error {
	n, err := pending(ctx, a, c.patience(0))
	if err != nil {
		return err
	}
	all, err := a.Inbox(ctx, o)
	if err != nil {
		return err
	}
	if c.json {
		for _, m := range all {
			if err := c.object(messageObject(a, m)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := c.showMessages(a, all, o); err != nil {
		return err
	}
	if !o.Sent {
		c.tellUpdate(n.update)
	}
	return nil
}

// tellUpdate says that messages wait for a newer version of this program.
func (c *cli) tellUpdate(n int) {
	if n > 0 {
		c.notef("hint: what needs an update was sent by a newer version: update reseal, then it opens")
	}
}

type receiptItem struct {
	Account string `json:"account_id"`
	Own     bool   `json:"own"`
	Device  string `json:"device"`
	What    string `json:"what"`
	Time    string `json:"time"`
}

type messageItem struct {
	ID       string        `json:"id"`
	From     string        `json:"from,omitempty"`
	To       string        `json:"to,omitempty"`
	PeerID   string        `json:"peer_id,omitempty"`
	Stranger bool          `json:"stranger"`
	Kind     string        `json:"kind"`
	State    string        `json:"state"`
	Policy   string        `json:"policy,omitempty"`
	Sent     string        `json:"sent"`
	Expires  string        `json:"expires"`
	Size     uint64        `json:"size"`
	Name     string        `json:"name,omitempty"`
	Type     string        `json:"type,omitempty"`
	Caption  string        `json:"caption,omitempty"`
	Opened   bool          `json:"opened,omitempty"`
	Why      string        `json:"why,omitempty"`
	Receipts []receiptItem `json:"receipts,omitempty"`
}

func messageObject(a *reseal.Account, m reseal.Message) messageItem {
	i := messageItem{
		ID: m.ID.String(), From: m.Handle, PeerID: m.Peer.String(), Stranger: m.Stranger, Kind: m.Kind, State: string(m.State),
		Policy: m.Policy.String(), Sent: utc(m.Sent), Expires: utc(m.Expires), Size: size(m),
		Name: m.Name, Type: m.Type, Caption: m.Caption, Opened: m.Opened, Why: m.Why,
	}
	if m.Kind == "" {
		i.Kind = "unknown" // it stands inside, and was not opened here
	}
	if m.Sent.IsZero() { // of a newer version: nothing is known of it
		i.PeerID, i.Policy = "", ""
	}
	if m.Outgoing {
		i.From, i.To = a.Handle(), m.Handle
	}
	for _, r := range m.Receipts {
		i.Receipts = append(i.Receipts, receiptItem{r.Account.String(), r.Account == a.ID(), r.Device.String(), r.What, utc(r.Time)})
	}
	return i
}

// size is the content's where it is known, or else what lies at the server.
func size(m reseal.Message) uint64 {
	if m.Size > 0 || m.Kind != "" {
		return m.Size
	}
	return m.Ciphertext
}

func (c *cli) showMessages(a *reseal.Account, all []reseal.Message, o reseal.InboxOptions) error {
	if len(all) == 0 {
		c.notef("nothing is here for %s", a.Handle())
		return nil
	}
	who := "FROM"
	if o.Sent {
		who = "TO"
	}
	st, now := c.style(), time.Now()
	t := terminal.Table{Head: []string{"ID", who, "STATE", "", ">SIZE", "SENT", "EXPIRES", "WHAT"}}
	for _, m := range all {
		peer := name(m.Handle)
		if m.Stranger && !m.Outgoing {
			peer += " (stranger)"
		}
		if m.Sent.IsZero() { // of a newer version: nothing is known of it
			t.Add(st.Bold(short(m.ID)), peer, stateText(st, m.State), "-", "-", "-", "-", "")
			continue
		}
		expires := "-"
		if isOpen(m.State) {
			expires = terminal.When(m.Expires, now)
		}
		t.Add(st.Bold(short(m.ID)), peer, stateText(st, m.State), m.Policy.String(), terminal.Size(size(m)), terminal.When(m.Sent, now), expires, what(m))
	}
	return t.Write(c.stdout, st)
}

func isOpen(s client.MessageState) bool {
	switch s {
	case client.IsViewed, client.Expired, client.IsUnsent, client.Refused:
		return false
	}
	return true
}

func stateText(st terminal.Style, s client.MessageState) string {
	switch s {
	case client.IsReady:
		return st.Green(string(s))
	case client.Waiting, client.Queued, client.Update:
		return st.Yellow(string(s))
	case client.Held, client.Refused:
		return st.Red(string(s))
	}
	return string(s)
}

// maxWhat is how much of a name, a caption and receipts a list shows.
const maxWhat = 60

func what(m reseal.Message) string {
	text := m.Name
	if m.Kind == "text" {
		text = "text"
	}
	for _, s := range []string{m.Caption, m.Why} {
		if s != "" {
			text += ": " + s
		}
	}
	if m.Outgoing {
		seen := map[string]int{}
		for _, r := range m.Receipts {
			seen[r.What]++
		}
		for _, w := range []string{"received", "seen", "viewed", "unsent"} {
			if seen[w] > 0 {
				text += " [" + w + "]"
			}
		}
	}
	return terminal.Cut(terminal.Line(text), maxWhat)
}
