package reseal_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
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

// Two that open one message at the same time do not both show it.
func TestOneMessageOpenedTwiceAtOnceIsShownOnce(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, bob := w.signUp("bob")
	id := text(t, ana, "hello", "bob")
	awaitState(t, bob, id, client.IsReady)
	showing, go1, over := make(chan struct{}, 2), make(chan struct{}), make(chan error, 2)
	for range 2 {
		go func() {
			over <- bob.Open(ctx(t), id, func(c reseal.Content) error {
				showing <- struct{}{}
				<-go1
				_, err := io.Copy(io.Discard, c.Reader)
				return err
			}, nil)
		}()
	}
	<-showing
	close(go1)
	first, second := <-over, <-over
	if first != nil {
		first, second = second, first
	}
	var ended *reseal.EndedError
	if first != nil || !errors.As(second, &ended) || len(showing) != 0 {
		t.Fatalf("%v, %v, shown once more: %d", first, second, len(showing))
	}
}

// claimGate lets the first claim fail, after calling what is set.
type claimGate struct {
	store.Store
	first atomic.Pointer[func()]
}

func (g *claimGate) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	for _, w := range b.Writes {
		if !strings.HasPrefix(string(w.Key), string(records.Claims)) {
			continue
		}
		if f := g.first.Swap(nil); f != nil {
			(*f)()
			return store.ErrFailed
		}
	}
	return g.Store.Commit(ctx, p, b)
}

// A claim whose connection is lost does not let anybody wait for ever.
func TestOpenEndsWithTheConnection(t *testing.T) {
	w := newWorld(t)
	w.down()
	g := &claimGate{Store: w.store}
	w.store = g
	w.up()
	_, ana := w.signUp("ana")
	_, bob := w.signUp("bob")
	id := text(t, ana, "hello", "bob")
	awaitState(t, bob, id, client.IsReady)
	down := make(chan struct{})
	stop := func() { go func() { defer close(down); w.down() }() }
	g.first.Store(&stop)
	show := func(c reseal.Content) error {
		_, err := io.Copy(io.Discard, c.Reader)
		return err
	}
	if err := bob.Open(context.Background(), id, show, nil); !errors.Is(err, reseal.ErrOffline) {
		t.Fatal(err)
	}
	<-down
	w.up()
	await(t, "bob is back", func() bool { return bob.Online(ctx(t)) == nil })
	if err := bob.Open(ctx(t), id, show, nil); err != nil {
		t.Fatal(err)
	}
	awaitState(t, ana, id, client.IsViewed)
}
