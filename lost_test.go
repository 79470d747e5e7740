package reseal_test

import (
	"strings"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/vault"
)

// A batch that could not be stored costs the engine what it had in memory. It
// catches up again at once, and not at the next loss of the connection.
func TestAfterAFailedCommitTheAccountCatchesUp(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, bob := w.signUp("bob")
	if err := bob.Online(ctx(t)); err != nil {
		t.Fatal(err)
	}
	caughtUp := watch(t, bob, reseal.KindCaughtUp)
	await(t, "the first sync", func() bool { return len(caughtUp()) > 0 })
	if err := reseal.Step(bob, client.AddContent{Inline: []byte{1}, Caption: strings.Repeat("x", vault.MaxValue)}); err == nil {
		t.Fatal("it was stored")
	}
	await(t, "another sync", func() bool { return len(caughtUp()) > 1 })
	id := text(t, ana, "hello", "bob")
	if _, body := open(t, bob, id); string(body) != "hello" {
		t.Fatalf("%q", body)
	}
}
