package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"

	"github.com/reseal/reseal"
)

// maxQuestion is the longest text that the bot reads.
const maxQuestion = 4 << 10

// bot answers what people write to an account.
type bot struct {
	account *reseal.Account
	answer  func(from, question string) string
	log     *slog.Logger
}

// run answers until ctx ends or the account is closed.
func (b *bot) run(ctx context.Context) error {
	// First the events, then the inbox: what comes in between is in both.
	events := b.account.Events(ctx)
	b.answerAll(ctx)
	for e := range events {
		switch e.Kind {
		case reseal.KindMessage, reseal.KindReady, reseal.KindCaughtUp:
			b.answerAll(ctx)
		case reseal.KindSessionEnded:
			return reseal.ErrSessionEnded
		}
	}
	return context.Cause(ctx)
}

// answerAll answers whatever can be opened. An event only says that it is time
// to look; so nothing depends on having seen each of them.
func (b *bot) answerAll(ctx context.Context) {
	inbox, err := b.account.Inbox(ctx, reseal.InboxOptions{})
	if err != nil {
		b.log.Error("the inbox cannot be read", "error", err)
		return
	}
	for _, m := range inbox {
		if m.State != reseal.StateReady || m.Opened { // a kept message was answered before
			continue
		}
		if err := b.answerOne(ctx, m); err != nil && ctx.Err() == nil {
			b.log.Warn("a message was not answered", "error", err) // it stays, and its turn comes again
		}
	}
}

// answerOne opens a message and answers it. A message that can be viewed once is
// gone only if the answer was taken: a crash in between gives a second answer,
// never none.
func (b *bot) answerOne(ctx context.Context, m reseal.Message) error {
	if m.Stranger { // a bot talks to everybody
		if err := b.account.Accept(ctx, m.Handle); err != nil {
			return err
		}
	}
	return b.account.Open(ctx, m.ID, func(c reseal.Content) error {
		reply := "I only read texts."
		if c.Text && c.Size <= maxQuestion {
			question, err := io.ReadAll(c.Reader)
			if err != nil {
				return err
			}
			reply = b.answer(m.Handle, strings.TrimSpace(string(question)))
		} else if _, err := io.Copy(io.Discard, c.Reader); err != nil {
			return err
		}
		_, err := b.account.Send(ctx, reseal.Outgoing{To: []string{m.Handle}, Text: reply, Queue: true})
		if gone := (*reseal.UnknownAccountError)(nil); errors.As(err, &gone) || errors.Is(err, reseal.ErrBlocked) {
			return nil // there is nobody to answer
		}
		return err
	}, nil)
}
