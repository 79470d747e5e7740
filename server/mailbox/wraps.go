package mailbox

import (
	"context"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// AddWraps adds wraps to a stored message, by a device of either account. What
// is there is never replaced. Then it looks again, as Send does. Without wraps it
// only tells how the message stands.
func (s *Service) AddWraps(ctx context.Context, req *resealv1.AddWrapsRequest) (*resealv1.AddWrapsResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.MessageId) != len(message.ID{}) || len(req.Sender) != 16 || len(req.Recipient) != 16 {
		return nil, refusal.Malformed("message")
	}
	if !party(c.Account, req.Sender, req.Recipient) {
		return nil, refusal.New(resealv1.Reason_REASON_UNKNOWN_MESSAGE)
	}
	if len(req.Wraps) > MaxWraps {
		return nil, refusal.Limit("wraps")
	}
	if len(req.Wraps) == 0 {
		if err := s.repeated(c, otherParty(c.Account, identity.AccountID(req.Sender), identity.AccountID(req.Recipient))); err != nil {
			return nil, err
		}
	}
	resp, err := s.addWraps(ctx, c, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return resp, nil
}

func (s *Service) addWraps(ctx context.Context, c caller.Caller, req *resealv1.AddWrapsRequest) (*resealv1.AddWrapsResponse, error) {
	id, sender, recipient := message.ID(req.MessageId), identity.AccountID(req.Sender), identity.AccountID(req.Recipient)
	h, stored, end, err := s.header(ctx, id, sender, recipient)
	if err != nil {
		return nil, err
	}
	if end != nil {
		return &resealv1.AddWrapsResponse{End: end}, nil
	}
	rosters := map[identity.AccountID]*roster.Roster{}
	for _, b := range req.Wraps {
		w, err := message.ParseWrap(b)
		if err != nil || w.Context.Fits(h) != nil || w.Context.From.Account != c.Account || w.Context.From.Device != c.Device {
			return nil, refusal.Malformed("wrap")
		}
		stored, err := s.addWrap(ctx, c, h, w, b, rosters)
		if err != nil {
			return nil, err
		}
		if stored {
			s.countWrap(c, h, w.Context.To.Device)
		}
	}
	stale, end, err := s.look(ctx, h, stored)
	if err != nil {
		return nil, err
	}
	if c.Account != h.Sender || c.Device != h.SenderDevice {
		stale = nil // only the sending device wraps for all
	}
	if end != nil { // it ended meanwhile: nothing may stay behind
		err = s.sweep(ctx, sender, recipient, id)
	}
	return &resealv1.AddWrapsResponse{Stale: stale, End: end}, err
}

// countWrap counts a wrap that is new here. The sending device adds some without
// having been asked, for whom its second look found.
func (s *Service) countWrap(c caller.Caller, h message.Header, to identity.DeviceID) {
	var at time.Time
	first, asked := false, false
	if s.Asked != nil {
		at, first, asked = s.Asked.Answered(h.ID, to)
	}
	by := "sender_other"
	switch {
	case c.Account == h.Recipient:
		by = "own"
	case c.Device == h.SenderDevice && !asked:
		s.count("wraps_added", "sender")
		return
	case c.Device == h.SenderDevice:
		by = "sender"
	}
	s.count("wraps_added", "retry")
	s.count("retry_answered", by)
	if first && s.Answering != nil {
		s.Answering.Answered(by, s.Now().Sub(at))
	}
}

// addWrap stores one wrap and tells its device. Wraps for devices that have
// left the list are dropped. stored tells that it is new, and for its device.
func (s *Service) addWrap(ctx context.Context, c caller.Caller, h message.Header, w *message.Wrap, raw []byte, rosters map[identity.AccountID]*roster.Roster) (stored bool, err error) {
	to := w.Context.To
	r := rosters[to.Account]
	if r == nil {
		if r, err = roster.Read(ctx, s.Store, to.Account); err != nil {
			return false, err
		}
		rosters[to.Account] = r
	}
	if _, ok := r.List.Find(to.Device); !ok {
		return false, nil
	}
	// A blocked sender gets the same answers, now and at the next look, and
	// nothing arrives: its wraps lie where no device of the recipient reads.
	blocked, err := s.blocked(ctx, to.Account, w.Context.From.Account)
	if err != nil {
		return false, err
	}
	at := to.Account
	if blocked {
		at = w.Context.From.Account
	}
	p, k := records.MessagePartition(at, h.ID), records.WrapKey(h.ID, to.Device, w.Context.From.Device, to.Epoch, w.Context.From.Key)
	there, err := s.get(ctx, p, k)
	if err != nil {
		return false, err
	}
	told := []identity.DeviceID{to.Device}
	row := row{entry: records.Entry{Kind: records.EntryWraps, Message: h.ID}, which: []byte(k), at: h.Created}
	if there != nil {
		if err := s.repeated(c, otherParty(c.Account, h.Sender, h.Recipient)); err != nil || blocked {
			return false, err
		}
		return false, s.tellAgain(ctx, to.Account, p, row, to.Device, h)
	}
	if err := s.roomFor(ctx, p, h.ID, to.Device); err != nil {
		return false, err
	}
	batch := new(store.Batch).PutOnce(k, raw, int64(h.Expires))
	if !blocked {
		s.enqueue(batch, told, row, h.Expires)
	}
	if err := s.commit(ctx, p, batch); err != nil || blocked {
		return false, err
	}
	s.wake(to.Account, h.ID.Day(), told, row)
	return true, nil
}

// tellAgain tells a device of a wrap that is there. A holder adds it again
// because it was asked again: what the device was told before did not open. So
// where the entry was taken out another one is put, at most one at a time.
func (s *Service) tellAgain(ctx context.Context, a identity.AccountID, p store.Partition, r row, d identity.DeviceID, h message.Header) error {
	waiting, err := s.get(ctx, p, r.key(d))
	if err != nil {
		return err
	}
	if waiting == nil {
		return s.Push(ctx, a, d, r.entry, h.Expires)
	}
	s.wake(a, h.ID.Day(), []identity.DeviceID{d}, r)
	return nil
}

// maxLaterWraps bounds the wraps of one message for one device that are kept:
// every device of both accounts may answer, for some epochs.
const maxLaterWraps = 64

func (s *Service) roomFor(ctx context.Context, p store.Partition, id message.ID, d identity.DeviceID) error {
	prefix := records.WrapsOf(id) + store.Key(d[:]) + "/"
	keys, err := s.Store.Range(ctx, p, prefix, store.PrefixEnd(prefix), maxLaterWraps, true)
	if err == nil && len(keys) >= maxLaterWraps {
		return refusal.Limit("wraps for one device")
	}
	return err
}

// header finds a message by its id: in the recipient's partition, or its
// sender's copy. It returns the wraps that were stored with it, or the end.
func (s *Service) header(ctx context.Context, id message.ID, sender, recipient identity.AccountID) (message.Header, []*message.Wrap, []byte, error) {
	p := records.MessagePartition(recipient, id)
	if end, err := s.get(ctx, p, records.EndKey(id)); err != nil || end != nil {
		return message.Header{}, nil, end, err
	}
	var h message.Header
	var wraps []*message.Wrap
	found := false
	for _, at := range []struct {
		p store.Partition
		k store.Key
	}{{p, records.MessageKey(id)}, {records.MessagePartition(sender, id), records.CopyKey(id)}} {
		b, err := s.get(ctx, at.p, at.k)
		if err != nil {
			return h, nil, nil, err
		}
		if b == nil {
			continue
		}
		m, err := records.ParseMessage(b)
		if err != nil {
			return h, nil, nil, err
		}
		if h, err = message.ParseHeader(m.Header); err != nil {
			return h, nil, nil, err
		}
		found = true
		for _, raw := range m.Wraps {
			if w, err := message.ParseWrap(raw); err == nil {
				wraps = append(wraps, w)
			}
		}
	}
	if !found || h.Sender != sender || h.Recipient != recipient {
		return h, nil, nil, refusal.New(resealv1.Reason_REASON_UNKNOWN_MESSAGE)
	}
	return h, wraps, nil, nil
}
