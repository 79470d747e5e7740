package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/internal/terminal"
)

func (c *cli) adminReset(call adminCall) *cobra.Command {
	var cancel bool
	cmd := &cobra.Command{
		Use: "reset HANDLE", Short: "Let an account begin anew whose owner has lost everything", Args: cobra.ExactArgs(1),
		Long: `For an owner who has lost password, recovery code and every device, and whom you
know to be the owner. Announces a reset on all devices of the account, each of which
can cancel it for 24 hours, and shows a code, once: hand it to the owner, who makes
the reset happen by "reseal reset HANDLE --code CODE", within a week after that.

Nothing of the account is left but its handle, and its contacts are warned until
they agree to its new key: that it is you who says so is worth nothing to them.
Run again, it is announced anew, with another code.`,
		Example: "  reseal admin reset ana\n  reseal admin reset ana --cancel",
		RunE: call(func(ctx context.Context, s resealv1connect.AdminServiceClient, args []string) error {
			if cancel {
				if _, err := s.CancelAccountReset(ctx, &resealv1.CancelAccountResetRequest{Handle: args[0]}); err != nil {
					return err
				}
				return c.done("no reset is announced any more of", map[string]any{"account": args[0], "state": "cancelled"})
			}
			resp, err := s.AskAccountReset(ctx, &resealv1.AskAccountResetRequest{Handle: args[0]})
			if err != nil {
				return err
			}
			return c.showReset(args[0], resp)
		}),
	}
	cmd.Flags().BoolVar(&cancel, "cancel", false, "end the reset that is announced, whoever asked for it")
	return cmd
}

func (c *cli) showReset(account string, r *resealv1.AskAccountResetResponse) error {
	due, ends := time.UnixMilli(int64(r.DueMs)), time.UnixMilli(int64(r.EndsMs))
	if c.json {
		return c.object(struct {
			Account string `json:"account"`
			State   string `json:"state"`
			Code    string `json:"code"`
			Due     string `json:"due"`
			Ends    string `json:"ends"`
		}{account, "asked", r.Code, utc(due), utc(ends)})
	}
	now := time.Now()
	if err := c.printf("announced a reset of %s; the code: %s\n", terminal.Line(account), c.style().Bold(r.Code)); err != nil {
		return err
	}
	c.notef("hint: it is shown only now; it works %s and until %s, unless a device of the account cancels it", terminal.When(due, now), terminal.When(ends, now))
	return nil
}
