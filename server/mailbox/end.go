package mailbox

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// end decides that a message is over: whoever writes the end record first. A
// view needs the claim, so that two devices cannot both have shown it.
func (s *Service) end(ctx context.Context, h message.Header, rc message.Receipt, raw []byte, state message.State) (*resealv1.PostReceiptResponse, error) {
	p := records.MessagePartition(h.Recipient, h.ID)
	e := message.EndRecord{Sender: h.Sender, Message: h.ID, State: state, Time: s.now(), Receipt: raw}
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	until := int64(max(h.Expires, s.now()).Add(message.EndKept))
	batch := new(store.Batch).Create(records.EndKey(h.ID), e.Encode(), token, until)
	to, err := s.others(ctx, h.Recipient, rc.Device)
	if err != nil {
		return nil, err
	}
	s.enqueue(batch, to, endRow(h.ID, rc), identity.Time(until))
	if rc.What == message.Viewed {
		rec, err := s.Store.Get(ctx, p, records.ClaimKey(h.ID))
		if err != nil && !errors.Is(err, store.ErrAbsent) {
			return nil, err
		}
		claim, perr := records.ParseClaim(rec.Value)
		if err != nil || perr != nil || claim.Device != rc.Device {
			return nil, refusal.New(resealv1.Reason_REASON_CLAIMED)
		}
		batch.RevIs(records.ClaimKey(h.ID), rec.Rev)
	}
	err = s.Store.Commit(ctx, p, batch)
	if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {
		err = s.Store.Commit(ctx, p, batch)
	}
	var refused *store.Refused
	if errors.As(err, &refused) {
		other, ok := refused.Find(records.EndKey(h.ID))
		switch {
		case ok && other.Token == token:
		case ok:
			return &resealv1.PostReceiptResponse{End: other.Value}, nil
		default:
			return nil, refusal.New(resealv1.Reason_REASON_CLAIMED)
		}
	} else if err != nil {
		return nil, err
	}
	s.count("ends", state.String())
	return &resealv1.PostReceiptResponse{}, s.afterEnd(ctx, h.Sender, h.Recipient, e, raw)
}

// afterEnd does what follows from an end record that stands. Each step may be
// repeated, in any order, after a crash between any two.
func (s *Service) afterEnd(ctx context.Context, sender, recipient identity.AccountID, e message.EndRecord, raw []byte) error {
	id := e.Message
	rc, err := message.ParseReceipt(raw)
	if err != nil {
		return err
	}
	token, err := s.token()
	if err != nil {
		return err
	}
	expires := s.now().Add(message.MaxLife + message.EndKept)
	for _, a := range parties(sender, recipient) {
		to, err := s.others(ctx, a, rc.Device)
		if err != nil {
			return err
		}
		if a != recipient { // there the end was decided, with its entries
			b := new(store.Batch).Create(records.EndKey(id), e.Encode(), token, int64(expires))
			s.enqueue(b, to, endRow(id, rc), expires)
			err := s.Store.Commit(ctx, records.MessagePartition(a, id), b)
			var refused *store.Refused
			if err != nil && !errors.As(err, &refused) {
				return err
			}
		}
		s.wake(a, id.Day(), to, endRow(id, rc))
	}
	return s.sweep(ctx, sender, recipient, id)
}

// sweep deletes what an ended message leaves: the message, its copies, wraps
// and receipts, and the blob's reference. The copy goes last: it is what a
// repeat finds the blob by.
func (s *Service) sweep(ctx context.Context, sender, recipient identity.AccountID, id message.ID) error {
	rp, sp := records.MessagePartition(recipient, id), records.MessagePartition(sender, id)
	b, err := s.get(ctx, sp, records.CopyKey(id))
	if err != nil {
		return err
	}
	for _, p := range []store.Partition{rp, sp} {
		batch := new(store.Batch).DeleteOnce(records.MessageKey(id))
		for _, prefix := range []store.Key{records.WrapsOf(id), records.Receipts + store.Key(id[:]) + "/"} {
			for rec, err := range store.Scan(ctx, s.Store, p, prefix, store.PrefixEnd(prefix), true) {
				if err != nil {
					return err
				}
				batch.DeleteOnce(rec.Key)
				if len(batch.Writes) == store.MaxWrites {
					if err := s.commit(ctx, p, batch); err != nil {
						return err
					}
					batch = new(store.Batch)
				}
			}
		}
		if len(batch.Writes) > 0 {
			if err := s.commit(ctx, p, batch); err != nil {
				return err
			}
		}
	}
	if b == nil {
		return nil
	}
	m, err := records.ParseMessage(b)
	if err != nil {
		return err
	}
	if h, err := message.ParseHeader(m.Header); err == nil && !h.Blob.IsZero() {
		if err := s.Blobs.DropReference(ctx, h.Blob, h.Sender, id); err != nil {
			return err
		}
	}
	return s.commit(ctx, sp, new(store.Batch).DeleteOnce(records.CopyKey(id)))
}

// endRow is the queue entry of a message's end, by the receipt that ended it.
func endRow(id message.ID, rc message.Receipt) row {
	return row{entry: records.Entry{Kind: records.EntryEnd, Message: id}, at: rc.Time}
}
