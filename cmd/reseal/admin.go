package main

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/terminal"
	"github.com/reseal/reseal/server/admin"
)

var (
	errNoAccount  = errors.New("no account has this handle")
	errNoInvite   = errors.New("no invite has this id")
	errInviteUsed = errors.New("the invite is used")
)

// inviteLife is how long an invite is good where its maker does not say.
const inviteLife = 7 * 24 * time.Hour

func newAdmin(c *cli) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "What the operator of a server does: invites, counts, sessions, accounts, backups",
		Long: `Speaks with the server that runs with DATA on this machine, over a socket in that
folder; who may open the folder may use it. It shows counts and times: contents
are not at the server, and neither is the key of any.`,
		Example: "  reseal admin accounts --data server-data\n  reseal admin invite",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&data, "data", "", "data `DIR` of the server (RESEAL_DATA, default ~/.reseal-server)")
	// call is what all of them do.
	call := func(f func(context.Context, resealv1connect.AdminServiceClient, []string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			if data == "" {
				data = c.getenv("RESEAL_DATA")
			}
			folder, err := c.dataFolder(data)
			if err != nil {
				return err
			}
			return adminError(folder, f(cmd.Context(), c.admin(folder), args))
		}
	}
	cmd.AddCommand(c.adminInvite(call), &cobra.Command{
		Use: "invites", Short: "List the invites that have not ended", Args: cobra.NoArgs, Example: "  reseal admin invites --json",
		RunE: call(func(ctx context.Context, s resealv1connect.AdminServiceClient, _ []string) error {
			return c.listInvites(ctx, s)
		}),
	}, &cobra.Command{
		Use: "revoke ID", Short: "Withdraw an invite that is not used", Args: cobra.ExactArgs(1), Example: "  reseal admin revoke 3f9c0a7716b2e85d",
		RunE: call(func(ctx context.Context, s resealv1connect.AdminServiceClient, args []string) error {
			id, err := hex.DecodeString(args[0])
			if err != nil || len(id) != 8 {
				return usagef(`"reseal admin invites" lists them`, "not the id of an invite: %q", args[0])
			}
			if _, err := s.RevokeInvite(ctx, &resealv1.RevokeInviteRequest{Id: id}); err != nil {
				return err
			}
			return c.done("withdrawn", map[string]any{"invite": args[0]})
		}),
	}, &cobra.Command{
		Use: "accounts [HANDLE]", Short: "Count accounts, or what the server has of one", Args: cobra.MaximumNArgs(1),
		Example: "  reseal admin accounts\n  reseal admin accounts ana --json",
		RunE: call(func(ctx context.Context, s resealv1connect.AdminServiceClient, args []string) error {
			if len(args) == 0 {
				return c.countAccounts(ctx, s)
			}
			return c.describeAccount(ctx, s, args[0])
		}),
	}, &cobra.Command{
		Use: "end-sessions HANDLE", Short: "Log an account out everywhere", Args: cobra.ExactArgs(1), Example: "  reseal admin end-sessions ana",
		Long: "Ends every session of the account: each of its devices says so and has to log in again.\nNothing is lost by it.",
		RunE: call(func(ctx context.Context, s resealv1connect.AdminServiceClient, args []string) error {
			resp, err := s.EndSessions(ctx, &resealv1.EndSessionsRequest{Handle: args[0]})
			if err != nil {
				return err
			}
			return c.done("ended "+strconv.Itoa(int(resp.Ended))+" sessions of", map[string]any{"account": args[0], "ended": resp.Ended})
		}),
	}, c.adminReset(call), c.adminDelete(call), c.adminBackup(call))
	return cmd
}

type adminCall func(f func(context.Context, resealv1connect.AdminServiceClient, []string) error) func(*cobra.Command, []string) error

func (c *cli) adminInvite(call adminCall) *cobra.Command {
	count, life := uint32(1), duration(inviteLife)
	cmd := &cobra.Command{
		Use: "invite", Short: "Make an invite, good for one account", Args: cobra.NoArgs,
		Long: `Makes invites for a server that runs with --signup invite. A code is shown once,
makes one account, and is good until its end: "reseal signup HANDLE --invite CODE".`,
		Example: "  reseal admin invite\n  reseal admin invite --count 10 --expires 30d --json",
		RunE: call(func(ctx context.Context, s resealv1connect.AdminServiceClient, _ []string) error {
			if count < 1 || count > admin.MaxInvites || life <= 0 || time.Duration(life) > admin.MaxInviteLife {
				return usagef("1 to 100 invites, good for 366d at most", "too many invites, or for too long")
			}
			resp, err := s.CreateInvites(ctx, &resealv1.CreateInvitesRequest{Count: count, EndsMs: uint64(time.Now().Add(time.Duration(life)).UnixMilli())})
			if err != nil {
				return err
			}
			return c.showInvites(resp.Invites)
		}),
	}
	cmd.Flags().Uint32Var(&count, "count", 1, "how many, 1 to 100")
	cmd.Flags().Var(&life, "expires", "how long they are good, as in 7d; at most 366d")
	return cmd
}

func (c *cli) showInvites(all []*resealv1.NewInvite) error {
	t := terminal.Table{Head: []string{"CODE", "ID", "UNTIL"}}
	for _, i := range all {
		id, until := hex.EncodeToString(i.Id), identity.Time(i.EndsMs).Time()
		if c.json {
			if err := c.object(map[string]any{"code": i.Code, "id": id, "expires": utc(until)}); err != nil {
				return err
			}
			continue
		}
		t.Add(i.Code, id, terminal.When(until, time.Now()))
	}
	if c.json {
		return nil
	}
	return t.Write(c.stdout, c.style())
}

func (c *cli) listInvites(ctx context.Context, s resealv1connect.AdminServiceClient) error {
	resp, err := s.ListInvites(ctx, &resealv1.ListInvitesRequest{})
	if err != nil {
		return err
	}
	t := terminal.Table{Head: []string{"ID", "UNTIL", "USED"}}
	for _, i := range resp.Invites {
		id, until, used := hex.EncodeToString(i.Id), identity.Time(i.EndsMs).Time(), ""
		if c.json {
			if err := c.object(map[string]any{"id": id, "expires": utc(until), "used": i.Used}); err != nil {
				return err
			}
			continue
		}
		if i.Used {
			used = "yes"
		}
		t.Add(id, terminal.When(until, time.Now()), used)
	}
	if c.json {
		return nil
	}
	return t.Write(c.stdout, c.style())
}

func (c *cli) countAccounts(ctx context.Context, s resealv1connect.AdminServiceClient) error {
	r, err := s.CountAccounts(ctx, &resealv1.CountAccountsRequest{})
	if err != nil {
		return err
	}
	if c.json {
		return c.object(map[string]any{"accounts": r.Accounts, "devices": r.Devices, "sessions": r.Sessions, "held_handles": r.HeldHandles})
	}
	return c.printf("%d accounts with %d devices and %d sessions; %d handles of closed accounts are held back\n", r.Accounts, r.Devices, r.Sessions, r.HeldHandles)
}

func (c *cli) describeAccount(ctx context.Context, s resealv1connect.AdminServiceClient, handle string) error {
	r, err := s.DescribeAccount(ctx, &resealv1.DescribeAccountRequest{Handle: handle})
	if err != nil {
		return err
	}
	seen := ""
	if r.LastSeenMs > 0 {
		seen = utc(identity.Time(r.LastSeenMs).Time())
	}
	if c.json {
		return c.object(map[string]any{
			"account": handle, "account_id": hex.EncodeToString(r.AccountId), "devices": r.Devices, "sessions": r.Sessions, "last_seen": seen, "messages": r.Messages,
		})
	}
	return c.printf("%s: %d devices, %d sessions, last seen %s, %d messages wait\n", handle, r.Devices, r.Sessions, seen, r.Messages)
}

func (c *cli) adminDelete(call adminCall) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete-account HANDLE", Short: "Delete an account and everything that waits for it", Args: cobra.ExactArgs(1),
		Long: `Deletes what the server has of an account, for good, as its owner can by closing it:
nobody can log in to it again, contacts see that it is gone, and the handle is
held back for 30 days. It has to be confirmed by --yes.`,
		Example: "  reseal admin delete-account ana --yes",
		RunE: call(func(ctx context.Context, s resealv1connect.AdminServiceClient, args []string) error {
			if !yes {
				return usagef("say --yes as well", "this deletes %s for good", args[0])
			}
			if _, err := s.DeleteAccount(ctx, &resealv1.DeleteAccountRequest{Handle: args[0]}); err != nil {
				return err
			}
			return c.done("deleted", map[string]any{"account": args[0]})
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, delete it")
	return cmd
}

// done tells that something was done, to what.
func (c *cli) done(what string, to map[string]any) error {
	if c.json {
		return c.object(to)
	}
	name := to["account"]
	if name == nil {
		name = to["invite"]
	}
	return c.printf("%s %s\n", what, name)
}
