package main

import (
	"context"
	"fmt"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/internal/terminal"
)

// tellNotices tells, when the command is over, what was done to the account
// elsewhere: the server tells each device once, and whichever command meets it
// shows it.
func (c *cli) tellNotices(ctx context.Context, a *reseal.Account) (tell func()) {
	ctx, cancel := context.WithCancel(ctx)
	events, done := a.Events(ctx), make(chan []reseal.Event, 1)
	go func() {
		var met []reseal.Event
		for e := range events {
			if e.Kind == reseal.KindAccount && e.Device != a.Device() {
				met = append(met, e)
			}
		}
		done <- met
	}()
	return func() {
		cancel()
		for _, e := range <-done {
			c.notef("reseal: %s: %s", a.Handle(), noticeText(e))
		}
	}
}

// noticeText is an account's notice for people.
func noticeText(e reseal.Event) string {
	at, by := "", ""
	if !e.Since.IsZero() {
		at = " " + terminal.When(e.Since, time.Now())
	}
	if !e.Device.IsZero() {
		by = " by device " + e.Device.String()[:8]
	}
	if e.Device.IsZero() && e.What == "reset_asked" {
		by = " by the server's operator"
	}
	switch e.What {
	case "recovery_tried":
		return "WARNING: somebody tried a wrong recovery code" + at + ", or within an hour of that; if it was not you, nothing is lost: codes cannot be guessed"
	case "reset_tried":
		return "WARNING: somebody tried a wrong reset code" + at + ", or within an hour of that; if it was not you, nothing is lost: codes cannot be guessed"
	case "recovered":
		return "the account was recovered with its code" + at + "; if it was not you, log in elsewhere and rotate"
	case "password_changed":
		return "the password was changed" + at + by
	case "rotated":
		return "the account has new keys, a new password and a new recovery code since" + at + by
	case "reset_asked":
		due := ""
		if !e.Due.IsZero() {
			due = " " + terminal.When(e.Due, time.Now())
		}
		return "WARNING: a reset of the account was asked for" + at + by + ": it begins anew" + due + `, and this device leaves it; "reseal reset HANDLE --cancel" prevents that`
	case "reset_cancelled":
		return "the reset of the account was cancelled" + at + by
	case "reset":
		return "the account began anew" + at + by
	}
	return fmt.Sprintf("something was done to the account%s: %s", at, terminal.Line(e.What))
}
