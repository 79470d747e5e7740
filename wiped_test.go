package reseal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

func TestAnAccountPrintsNoSecret(t *testing.T) {
	_, ana := newWorld(t).signUp("ana")
	token := reseal.TokenOf(ana)
	if len(token) < 20 {
		t.Fatal(token)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		text := fmt.Sprintf(verb, ana)
		if strings.Contains(text, token) || len(text) > 100 {
			t.Errorf("%s: %q", verb, text)
		}
	}
}

// After the session's end nothing is left in an Account that somebody kept.
func TestAClosedAccountKnowsNothing(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, bob := w.signUp("bob")
	text(t, bob, "hello", "ana")
	id := text(t, ana, "hello", "bob")
	awaitState(t, bob, id, client.IsReady)
	if err := bob.Online(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := reseal.Opening(bob, id); err == nil {
		t.Error("the message's key is there")
	}
	if reseal.TokenOf(bob) != "" {
		t.Error("the token is there")
	}
	if err := bob.Accept(context.Background(), "ana"); err == nil {
		t.Error("its contacts are there")
	}
	if _, err := bob.Inbox(ctx(t), reseal.InboxOptions{}); !errors.Is(err, reseal.ErrClosed) {
		t.Error(err)
	}
	if bob.Counters().Sends != 1 {
		t.Error("the counters are gone")
	}
}
