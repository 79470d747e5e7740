package client

import (
	"testing"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

func TestSyncDays(t *testing.T) {
	const today = 20000
	now := identity.Time(today * 24 * 3600 * 1000)
	for _, c := range []struct {
		name    string
		synced  uint32
		waiting []uint32
		from    uint32
	}{
		{"never synced", 0, nil, today + 1 - 32},
		{"synced today", today + 1, nil, today - 2},
		{"synced by a clock ahead", today + 9, nil, today + 1 - 32},
		{"synced long ago", today - 60, nil, today + 1 - 32},
		{"waiting since yesterday", today + 1, []uint32{today - 1}, today - 2},
		{"waiting for long", today + 1, []uint32{today - 1, today - 20}, today - 20},
		{"waiting longer than messages live", today + 1, []uint32{today - 50}, today + 1 - 32},
	} {
		st := watchRecords{}
		for _, d := range c.waiting {
			st[prefixWait+message.NewID(d, identity.AccountID{}, identity.AccountID{}, message.ClientID{}, message.Digest{}).String()] = present
		}
		e := &Engine{state: st, self: &state.Self{SyncedDay: c.synced}}
		if from, through := e.SyncDays(now); from != c.from || through != today+1 {
			t.Errorf("%s: %d to %d, want %d to %d", c.name, from-today, through-today, int(c.from)-today, 1)
		}
	}
}
