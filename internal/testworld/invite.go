package testworld

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/invite"
	"github.com/reseal/reseal/store"
)

// NewInvite puts an invite into the store and returns its code.
func (w *World) NewInvite(life time.Duration) []byte {
	w.T.Helper()
	c := must(invite.New(rand.Reader))
	i := records.Invite{End: w.Time().Add(life)}
	b := new(store.Batch).Create(records.InviteKey(c.Hash()), i.Encode(), must(store.NewToken(rand.Reader)), int64(i.End))
	check(w.Store.Commit(context.Background(), records.InvitePartition, b))
	return c.Bytes()
}
