package mailbox

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/faults"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// sending is a checked SendRequest.
type sending struct {
	h      message.Header
	wraps  []*message.Wrap // for the recipient, then for the sender's own
	record records.Message
	copy   records.Message
	// kept is the copy where the recipient blocked the sender: with all wraps,
	// so that later looks find what an unblocked sender's would.
	kept records.Message
	// expires is when the records go: with the message.
	expires int64
}

// Send stores a message, then looks again at the device lists. It may be
// repeated with the same bytes any number of times.
func (s *Service) Send(ctx context.Context, req *resealv1.SendRequest) (*resealv1.SendResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	m, err := parseSend(req)
	if err != nil {
		return nil, err
	}
	if m.h.Sender != c.Account || m.h.SenderDevice != c.Device {
		return nil, refusal.Malformed("sender")
	}
	s.count("sends", "")
	resp, err := s.send(ctx, c, req, m)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return resp, nil
}

func parseSend(req *resealv1.SendRequest) (*sending, error) {
	h, err := message.ParseHeader(req.Header)
	if err != nil || h.Rewrapped() {
		return nil, refusal.Malformed("header")
	}
	if len(req.ClientId) != len(message.ClientID{}) ||
		h.ID != message.NewID(h.Created.Day(), h.Sender, h.Recipient, message.ClientID(req.ClientId), h.Digest) {
		return nil, refusal.Malformed("message id")
	}
	inline := h.Blob.IsZero()
	switch {
	case inline && uint64(len(req.Inline)) != h.Length, !inline && len(req.Inline)+len(req.Segments) > 0:
		return nil, refusal.Malformed("inline")
	case len(req.Segments) > MaxSegments:
		return nil, refusal.Limit("segments")
	case len(req.Wraps) > message.MaxWraps, len(req.Copies) > message.MaxWraps:
		return nil, refusal.Limit("wraps")
	}
	m := &sending{
		h:       h,
		record:  records.Message{Header: req.Header, Inline: req.Inline, Segments: req.Segments, Wraps: req.Wraps},
		copy:    records.Message{Header: req.Header, Wraps: req.Copies},
		kept:    records.Message{Header: req.Header, Wraps: slices.Concat(req.Copies, req.Wraps)},
		expires: int64(h.Expires),
	}
	seen := map[identity.DeviceID]bool{}
	for _, part := range []struct {
		raw [][]byte
		to  identity.AccountID
	}{{req.Wraps, h.Recipient}, {req.Copies, h.Sender}} {
		for _, b := range part.raw {
			w, err := message.ParseWrap(b)
			if err != nil || w.Context.Fits(h) != nil || w.Context.To.Account != part.to ||
				w.Context.From.Account != h.Sender || w.Context.From.Device != h.SenderDevice || seen[w.Context.To.Device] {
				return nil, refusal.Malformed("wrap")
			}
			seen[w.Context.To.Device] = true
			m.wraps = append(m.wraps, w)
		}
	}
	return m, nil
}

func (s *Service) send(ctx context.Context, c caller.Caller, req *resealv1.SendRequest, m *sending) (*resealv1.SendResponse, error) {
	known, err := s.known(ctx, m)
	if err != nil {
		return nil, err
	}
	if known.end != nil {
		return &resealv1.SendResponse{End: known.end}, s.sweep(ctx, m.h.Sender, m.h.Recipient, m.h.ID)
	}
	if known.stored || known.copied {
		if err := s.repeated(c, m.h.Recipient); err != nil {
			return nil, err
		}
	}
	fresh := false
	if known.copied {
		if err := s.wakeAgain(ctx, c, m); err != nil {
			return nil, err
		}
	} else {
		// What the recipient has already is not new: refused now, it would be
		// sent a second time under another id.
		err := m.h.CheckNew(s.now())
		switch {
		case errors.Is(err, message.ErrExpired):
			return &resealv1.SendResponse{End: expired(m.h)}, nil
		case err != nil && !known.stored:
			return nil, refusal.Clock(s.Now())
		}
		switch err := s.store(ctx, c, req, m, known); {
		case refusal.Reason(err) == resealv1.Reason_REASON_UNKNOWN_BLOB:
			// Another try of this call may have stored the message and its end
			// dropped the blob meanwhile. Told that the blob is unknown, the
			// sender would send it a second time, under another id.
			again, kerr := s.known(ctx, m)
			switch {
			case kerr != nil:
				return nil, kerr
			case again.end != nil:
				return &resealv1.SendResponse{End: again.end}, s.sweep(ctx, m.h.Sender, m.h.Recipient, m.h.ID)
			case !again.copied:
				return nil, err
			}
		case err != nil:
			return nil, err
		default:
			fresh = true
			s.count("messages_stored", m.h.Policy.String())
		}
	}
	// From here on the message is durable. Look again.
	stale, end, err := s.look(ctx, m.h, m.wraps)
	if err != nil {
		return nil, err
	}
	if fresh && len(stale) > 0 {
		s.count("stale_sends", "")
	}
	if end != nil {
		// It ended while this call was under way, which may have brought back
		// what the end had deleted.
		err = s.sweep(ctx, m.h.Sender, m.h.Recipient, m.h.ID)
	}
	return &resealv1.SendResponse{Stale: stale, End: end}, err
}

// expired is the end of a message that came too late.
func expired(h message.Header) []byte {
	return message.EndRecord{Sender: h.Sender, Message: h.ID, State: message.StateExpired, Time: h.Expires}.Encode()
}

// store makes the message durable: the blob's reference, the recipient's record,
// then the sender's copy, which says that the rest is there.
func (s *Service) store(ctx context.Context, c caller.Caller, req *resealv1.SendRequest, m *sending, known known) error {
	recipient, err := roster.Read(ctx, s.Store, m.h.Recipient)
	if err != nil {
		return err
	}
	sender, err := roster.Read(ctx, s.Store, c.Account)
	if err != nil {
		return err
	}
	blocked, err := s.blocked(ctx, m.h.Recipient, c.Account)
	if err != nil {
		return err
	}
	stranger := false
	if !known.stored {
		if stranger, err = s.address(ctx, c.Account, m.h.Recipient); err != nil {
			return err
		}
	}
	done, err := s.quotas(ctx, m, known, stranger)
	if err != nil {
		return err
	}
	defer done()
	if err := s.room(m, stranger, blocked); err != nil {
		return err
	}
	if !m.h.Blob.IsZero() {
		if len(req.BlobCapability) != 32 {
			return refusal.Malformed("blob capability")
		}
		// Also for a blocked sender, who would else learn it from the answer
		// for a blob that is not there.
		if err := s.Blobs.AddReference(ctx, m.h.Blob, [32]byte(req.BlobCapability), c.Account, m.h.ID, m.h.Expires); err != nil {
			return err
		}
	}
	self := m.h.Sender == m.h.Recipient
	but := identity.DeviceID{}
	if self {
		but = c.Device
	}
	to, cp := devices(recipient, but), m.copy
	var holders []identity.DeviceID
	if !self {
		holders = devices(sender, c.Device)
	}
	var steps []store.Step
	switch {
	case blocked:
		to, cp = nil, m.kept
	case !known.stored:
		steps = append(steps, s.messageStep(m.h.Recipient, records.MessageKey(m.h.ID), m.record, m, to))
	}
	steps = append(steps, s.messageStep(c.Account, records.CopyKey(m.h.ID), cp, m, holders))
	if err := s.commitAll(ctx, steps...); err != nil {
		return err
	}
	s.wake(m.h.Recipient, m.h.ID.Day(), to, m.row())
	s.wake(c.Account, m.h.ID.Day(), holders, m.row())
	return nil
}

// room takes from the sender's bucket at this recipient, so that nobody uses up
// what others need, and then from the recipient's, which bounds many senders
// together. What a blocked sender sends does not arrive and costs the recipient
// nothing; its own bucket answers as for any other sender.
func (s *Service) room(m *sending, stranger, blocked bool) error {
	from, to, kib := string(m.h.Sender[:]), string(m.h.Recipient[:]), m.kib()
	if stranger {
		if err := s.Limiter.Allow("inbox_stranger", from+to); err != nil {
			// As a quota, for a person to hear of: what is merely too fast is
			// repeated by the sender's device, which would be for hours here.
			return refusal.Quota(UnansweredQuota, time.Duration(refusal.Detail(err).GetRetryAfterMs())*time.Millisecond)
		}
	}
	if err := s.Limiter.Allow("inbox", from+to); err != nil {
		return err
	}
	if err := s.Limiter.AllowN("inbox_bytes", from+to, kib); err != nil || blocked {
		return err
	}
	if err := s.Limiter.Allow("inbox_all", to); err != nil {
		return err
	}
	return s.Limiter.AllowN("inbox_bytes_all", to, kib)
}

// kib is how much the message takes in the store, both copies, in KiB.
func (m *sending) kib() int {
	n := 0
	for _, r := range []records.Message{m.record, m.copy} {
		n += len(r.Header) + len(r.Inline) + len(r.Segments)
		for _, w := range r.Wraps {
			n += len(w)
		}
	}
	return n/1024 + 1
}

// devices are an account's devices but one.
func devices(r *roster.Roster, but identity.DeviceID) (ids []identity.DeviceID) {
	for _, d := range r.List.List.Devices {
		if d.ID != but {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// known is what the store has of a message already.
type known struct {
	stored bool   // the recipient's record
	copied bool   // the sender's copy: all is there
	end    []byte // it is over
}

func (s *Service) known(ctx context.Context, m *sending) (k known, err error) {
	p := records.MessagePartition(m.h.Recipient, m.h.ID)
	if k.end, err = s.get(ctx, p, records.EndKey(m.h.ID)); err != nil || k.end != nil {
		return k, err
	}
	b, err := s.get(ctx, records.MessagePartition(m.h.Sender, m.h.ID), records.CopyKey(m.h.ID))
	if err != nil {
		return k, err
	}
	r, err := s.get(ctx, p, records.MessageKey(m.h.ID))
	if err != nil {
		return k, err
	}
	if (b != nil && !bytes.Equal(b, m.copy.Encode()) && !bytes.Equal(b, m.kept.Encode())) ||
		(r != nil && !bytes.Equal(r, m.record.Encode())) {
		return k, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	return known{stored: r != nil, copied: b != nil}, nil
}

// get returns a value, nil where there is none (or it is gone).
func (s *Service) get(ctx context.Context, p store.Partition, k store.Key) ([]byte, error) {
	rec, err := s.Store.Get(ctx, p, k)
	if errors.Is(err, store.ErrAbsent) || (err == nil && len(rec.Value) == 0) {
		return nil, nil
	}
	return rec.Value, err
}

func (s *Service) blocked(ctx context.Context, by, whom identity.AccountID) (bool, error) {
	b, err := s.get(ctx, records.AccountPartition(by), records.BlockKey(whom))
	if err != nil || b == nil {
		return false, err
	}
	return records.ParseBlock(b)
}

// row is the message's entry in the queues of either account.
func (m *sending) row() row {
	return row{entry: records.Entry{Kind: records.EntryMessage, Message: m.h.ID}, at: m.h.Created}
}

// messageStep writes a message row and the queue entries for it in one batch.
func (s *Service) messageStep(a identity.AccountID, key store.Key, v records.Message, m *sending, to []identity.DeviceID) store.Step {
	b := new(store.Batch).PutOnce(key, v.Encode(), m.expires)
	s.enqueue(b, to, m.row(), m.h.Expires)
	return store.Step{Partition: records.MessagePartition(a, m.h.ID), Batch: b}
}

// wakeAgain wakes all devices that may not have been told of a message that is
// there: the try that stored it may have been cut off before it told anybody.
func (s *Service) wakeAgain(ctx context.Context, c caller.Caller, m *sending) error {
	for _, a := range parties(m.h.Sender, m.h.Recipient) {
		r, err := roster.Read(ctx, s.Store, a)
		if err != nil {
			return err
		}
		s.wake(a, m.h.ID.Day(), devices(r, c.Device), m.row())
	}
	return nil
}

// repeated takes from the bucket of what a caller does a second time to a
// message that it has with another account: it stores nothing, and costs reads.
func (s *Service) repeated(c caller.Caller, other identity.AccountID) error {
	return s.Limiter.Allow("repeat", string(c.Account[:])+string(other[:]))
}

// commit makes an unconditional batch durable. An unknown outcome is repeated
// once; if it stays unknown the caller is told to repeat the whole call.
func (s *Service) commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	return s.commitAll(ctx, store.Step{Partition: p, Batch: b})
}

// commitAll is commit of batches that each wait for the one before.
func (s *Service) commitAll(ctx context.Context, steps ...store.Step) error {
	err := store.CommitAll(ctx, s.Store, steps...)
	if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {
		err = store.CommitAll(ctx, s.Store, steps...)
	}
	return err
}

func (s *Service) fail(ctx context.Context, err error) error {
	return faults.Refuse(ctx, s.Log, "mailbox", err)
}

// token is a fresh writer's token.
func (s *Service) token() (store.Token, error) { return store.NewToken(s.Rand) }
