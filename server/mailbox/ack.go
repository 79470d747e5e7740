package mailbox

import (
	"context"
	"maps"
	"slices"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// Acknowledge removes entries from the caller's queue: it has stored what they
// told of.
func (s *Service) Acknowledge(ctx context.Context, req *resealv1.AcknowledgeRequest) (*resealv1.AcknowledgeResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.Entries) > MaxAcknowledge {
		return nil, refusal.Limit("entries")
	}
	batches := map[uint32]*store.Batch{}
	for _, e := range req.Entries {
		day, key, ok := parseEntryName(e, c.Device)
		if !ok {
			return nil, refusal.Malformed("entry")
		}
		// Entries are kept no longer; a delete of what never was is a record, too.
		if today := s.now().Day(); day+QueueDays < today || day > today+1 {
			continue
		}
		b := batches[day]
		if b == nil {
			// What a crash brings back is told to the device once more, which knows
			// it by its id.
			b = new(store.Batch).Lazily()
			batches[day] = b
		}
		if hasKey(b, key) {
			continue
		}
		b.DeleteOnce(key)
		s.count("acknowledged", "")
		if len(b.Writes) == store.MaxWrites {
			if err := s.commit(ctx, records.DayPartition(c.Account, day), b); err != nil {
				return nil, s.fail(ctx, err)
			}
			delete(batches, day)
		}
	}
	for _, day := range slices.Sorted(maps.Keys(batches)) { // one order, so that a simulation has one
		b := batches[day]
		if err := s.commit(ctx, records.DayPartition(c.Account, day), b); err != nil {
			return nil, s.fail(ctx, err)
		}
	}
	return &resealv1.AcknowledgeResponse{}, nil
}

// hasKey tells whether an entry was named twice.
func hasKey(b *store.Batch, k store.Key) bool {
	return slices.ContainsFunc(b.Writes, func(w store.Write) bool { return w.Key == k })
}
