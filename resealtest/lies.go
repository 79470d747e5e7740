package resealtest

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// ChangeKey makes the server put somebody else in a person's place, as one does
// that wants to read along: it serves a device list under another account key,
// which the old key does not vouch for. Who knows the person is warned at the
// next look ([reseal.KindAlarm], [reseal.ErrAlarm]), and nothing is sent. The
// function that it returns ends the lie.
func (w *World) ChangeKey(handle string) (restore func()) {
	w.t.Helper()
	p := records.AccountPartition(w.person(handle).device.ID())
	served, err := w.swapList(p, func(b []byte) ([]byte, error) {
		real, err := identity.ParseSignedList(b)
		if err != nil {
			return nil, err
		}
		key, err := identity.NewAccountKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		l := real.List
		l.Key, l.Version, l.Prev = key.Public(), l.Version+1, real.Hash()
		forged, err := identity.SignList(l, key)
		if err != nil {
			return nil, err
		}
		return forged.Bytes(), nil
	})
	if err != nil {
		w.t.Fatalf("resealtest: change the key of %s: %v", handle, err)
	}
	return func() {
		w.t.Helper()
		if _, err := w.swapList(p, func([]byte) ([]byte, error) { return served, nil }); err != nil {
			w.t.Fatalf("resealtest: restore the key of %s: %v", handle, err)
		}
	}
}

// swapList puts another device list in place of an account's, and returns the
// one before.
func (w *World) swapList(p store.Partition, change func([]byte) ([]byte, error)) ([]byte, error) {
	ctx := context.Background()
	for {
		rec, err := w.store.Get(ctx, p, records.List)
		if err != nil {
			return nil, err
		}
		next, err := change(rec.Value)
		if err != nil {
			return nil, err
		}
		var token store.Token
		_, _ = rand.Read(token[:]) // never fails
		err = w.store.Commit(ctx, p, new(store.Batch).Replace(records.List, rec.Rev, next, token, 0))
		if refused := (*store.Refused)(nil); errors.As(err, &refused) {
			continue
		}
		return rec.Value, err
	}
}
