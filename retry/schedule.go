package retry

import (
	"bytes"
	"slices"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// DealAbove is up to how many messages a request goes to every holder whole.
const DealAbove = 64

// Part is what one holder is asked for.
type Part struct {
	Holder identity.DeviceID
	// Messages is sorted; nil stands for the whole request.
	Messages []message.ID
}

// Deal says what to ask of each of the holders that are online, sorted by
// holder id. A first asking for more than [DealAbove] messages is dealt out in
// turn, so that a device that comes back to a long queue costs each holder a
// share of the work; a repeat, or a smaller request, goes whole to all, so that
// a holder that lacks a key or lies delays an answer and never prevents it.
// A holder whose share would be nothing is left out. Deal leaves its arguments
// alone.
func Deal(ids []message.ID, holders []identity.DeviceID, repeat bool) []Part {
	holders = slices.Clone(holders)
	slices.SortFunc(holders, func(a, b identity.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	holders = slices.Compact(holders)
	parts := make([]Part, len(holders))
	for i, h := range holders {
		parts[i].Holder = h
	}
	if repeat || len(ids) <= DealAbove || len(holders) < 2 {
		return parts
	}
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, compareIDs)
	for i, id := range slices.Compact(sorted) {
		p := &parts[i%len(parts)]
		p.Messages = append(p.Messages, id)
	}
	return slices.DeleteFunc(parts, func(p Part) bool { return p.Messages == nil })
}

// repeats are the times after the first asking at which an asker repeats what is
// still open. After the last only a sync repeats it.
var repeats = [...]time.Duration{10 * time.Second, time.Minute}

// NextRepeat returns when a request first sent at asked and repeated n times
// since is due again; ok is false when only the next sync repeats it. Each sync
// repeats everything open, whatever the schedule says, and does not count in n.
func NextRepeat(asked identity.Time, n int) (due identity.Time, ok bool) {
	if n < 0 || n >= len(repeats) {
		return 0, false
	}
	return asked.Add(repeats[n]), true
}
