package mailbox

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// Claim reserves the one view of a message for the caller's device for
// ClaimLife. The same device may claim again at any time; another one once the
// claim has lapsed without a receipt.
func (s *Service) Claim(ctx context.Context, req *resealv1.ClaimRequest) (*resealv1.ClaimResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.MessageId) != len(message.ID{}) {
		return nil, refusal.Malformed("message")
	}
	until, err := s.claim(ctx, c, message.ID(req.MessageId))
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.ClaimResponse{UntilMs: uint64(until)}, nil
}

func (s *Service) claim(ctx context.Context, c caller.Caller, id message.ID) (identity.Time, error) {
	p := records.MessagePartition(c.Account, id)
	h, err := s.pending(ctx, p, id)
	if err != nil {
		return 0, err
	}
	if h.Policy != message.Once {
		return 0, refusal.Malformed("policy")
	}
	token, err := s.token()
	if err != nil {
		return 0, err
	}
	until := s.now().Add(ClaimLife)
	value := records.Claim{Device: c.Device, Until: until}.Encode()
	for range 4 { // each round another claim came between; two devices do not race for ever
		rec, err := s.Store.Get(ctx, p, records.ClaimKey(id))
		batch := new(store.Batch).Absent(records.EndKey(id))
		switch {
		case errors.Is(err, store.ErrAbsent):
			batch.Create(records.ClaimKey(id), value, token, int64(h.Expires))
		case err != nil:
			return 0, err
		default:
			old, err := records.ParseClaim(rec.Value)
			if err != nil {
				return 0, err
			}
			if old.Device != c.Device && old.Until > s.now() {
				return 0, refusal.New(resealv1.Reason_REASON_CLAIMED)
			}
			batch.Replace(records.ClaimKey(id), rec.Rev, value, token, int64(h.Expires))
		}
		err = s.Store.Commit(ctx, p, batch)
		var refused *store.Refused
		if errors.As(err, &refused) {
			if now, ok := refused.Find(records.ClaimKey(id)); ok && now.Token == token {
				return until, nil // an earlier try of this very call
			}
			if end, ok := refused.Find(records.EndKey(id)); ok {
				return 0, refusal.Ended(end.Value)
			}
			continue
		}
		if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {
			continue
		}
		return until, err
	}
	return 0, refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
}

// pending returns the header of a message of the partition that has not ended.
func (s *Service) pending(ctx context.Context, p store.Partition, id message.ID) (message.Header, error) {
	if end, err := s.get(ctx, p, records.EndKey(id)); err != nil {
		return message.Header{}, err
	} else if end != nil {
		return message.Header{}, refusal.Ended(end)
	}
	b, err := s.get(ctx, p, records.MessageKey(id))
	if err != nil {
		return message.Header{}, err
	}
	if b == nil {
		return message.Header{}, refusal.New(resealv1.Reason_REASON_UNKNOWN_MESSAGE)
	}
	m, err := records.ParseMessage(b)
	if err != nil {
		return message.Header{}, err
	}
	return message.ParseHeader(m.Header)
}

// PostReceipt delivers a receipt to every device of both accounts. The server
// cannot check its MAC; it checks that the caller's device is the one that the
// receipt names, and that it comes from the side that may make it.
func (s *Service) PostReceipt(ctx context.Context, req *resealv1.PostReceiptRequest) (*resealv1.PostReceiptResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	rc, err := message.ParseReceipt(req.Receipt)
	if err != nil || len(req.Sender) != 16 || len(req.Recipient) != 16 {
		return nil, refusal.Malformed("receipt")
	}
	if rc.Account != c.Account || rc.Device != c.Device || string(rc.Message[:]) != string(req.MessageId) ||
		!party(c.Account, req.Sender, req.Recipient) {
		return nil, refusal.Malformed("receipt")
	}
	// It may be old, from before an outage, but nothing happens in the future.
	if rc.Time.Sub(s.now()) > MaxSkew {
		return nil, refusal.Clock(s.Now())
	}
	resp, err := s.postReceipt(ctx, req, rc)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.count("receipts", rc.What.String())
	return resp, nil
}

func (s *Service) postReceipt(ctx context.Context, req *resealv1.PostReceiptRequest, rc message.Receipt) (*resealv1.PostReceiptResponse, error) {
	sender, recipient := identity.AccountID(req.Sender), identity.AccountID(req.Recipient)
	h, _, end, err := s.header(ctx, rc.Message, sender, recipient)
	if err != nil {
		return nil, err
	}
	if end != nil {
		// It may be this very receipt, from before a crash: finish what follows.
		if e, err := message.ParseEndRecord(end); err == nil && string(e.Receipt) == string(req.Receipt) {
			return &resealv1.PostReceiptResponse{}, s.afterEnd(ctx, sender, recipient, e, req.Receipt)
		}
		return &resealv1.PostReceiptResponse{End: end}, nil
	}
	if rc.Fits(h) != nil {
		return nil, refusal.Malformed("receipt")
	}
	if state, ends := rc.What.Ends(); ends {
		return s.end(ctx, h, rc, req.Receipt, state)
	}
	return &resealv1.PostReceiptResponse{}, s.spread(ctx, h, rc, req.Receipt)
}

// spread stores a receipt in both accounts' partitions and tells their devices.
func (s *Service) spread(ctx context.Context, h message.Header, rc message.Receipt, raw []byte) error {
	key := records.ReceiptKey(rc.Message, rc.Device, rc.What)
	for _, a := range parties(h.Sender, h.Recipient) {
		p := records.MessagePartition(a, rc.Message)
		if b, err := s.get(ctx, p, key); err != nil {
			return err
		} else if b != nil {
			continue // the first one stands; a repeat with another time changes nothing
		}
		if err := s.commit(ctx, p, new(store.Batch).PutOnce(key, raw, int64(h.Expires))); err != nil {
			return err
		}
		extra := append(append([]byte(nil), rc.Device[:]...), byte(rc.What))
		if err := s.tell(ctx, a, records.Entry{Kind: records.EntryReceipt, Message: rc.Message, Extra: extra}, rc.Device, h.Expires); err != nil {
			return err
		}
	}
	return nil
}

// tell puts an entry into the queues of all devices of an account but one.
func (s *Service) tell(ctx context.Context, a identity.AccountID, e records.Entry, but identity.DeviceID, expires identity.Time) error {
	r, err := roster.Read(ctx, s.Store, a)
	if errors.Is(err, roster.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.pushAll(ctx, a, devices(r, but), e, expires)
}

// parties are a message's accounts: two, or one to itself.
func parties(sender, recipient identity.AccountID) []identity.AccountID {
	if sender == recipient {
		return []identity.AccountID{sender}
	}
	return []identity.AccountID{recipient, sender}
}

// party tells whether an account is one of a message's two.
func party(a identity.AccountID, sender, recipient []byte) bool {
	return string(a[:]) == string(sender) || string(a[:]) == string(recipient)
}

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
	sp := records.MessagePartition(sender, id)
	err = s.Store.Commit(ctx, sp, new(store.Batch).Create(records.EndKey(id), e.Encode(), token, int64(expires)))
	var refused *store.Refused
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	for _, a := range parties(sender, recipient) {
		if err := s.tell(ctx, a, records.Entry{Kind: records.EntryEnd, Message: id}, rc.Device, expires); err != nil {
			return err
		}
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
