package mailbox

import (
	"context"
	"iter"
	"slices"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// sections are the key prefixes that ReadDay goes through, in this order:
// messages first, because a device checks receipts by what came with their
// message and knows nothing to do with others; ends last, so that one that is
// written between two pages is not missed.
var sections = []store.Key{records.Copies, records.Messages, records.Receipts, records.Ends}

// ReadDay returns one day's messages, ends and receipts of the caller's
// account, with the wraps for the caller's device, in pages.
func (s *Service) ReadDay(ctx context.Context, req *resealv1.ReadDayRequest) (*resealv1.ReadDayResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.From) > store.MaxKey || (len(req.From) > 0 && !inSections(store.Key(req.From))) {
		return nil, refusal.Malformed("from")
	}
	resp, err := s.readDay(ctx, c, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return resp, nil
}

func (s *Service) readDay(ctx context.Context, c caller.Caller, req *resealv1.ReadDayRequest) (*resealv1.ReadDayResponse, error) {
	p := records.DayPartition(c.Account, req.Day)
	resp := new(resealv1.ReadDayResponse)
	from, size := store.Key(req.From), 0
	for _, prefix := range sections {
		start := prefix
		if len(from) > 0 {
			if !inSection(from, prefix) {
				continue // a section read before
			}
			start, from = from, ""
		}
		for rec, err := range scan(ctx, s.Store, p, start, store.PrefixEnd(prefix)) {
			if err != nil {
				return nil, err
			}
			if size >= PageBytes {
				resp.Next = []byte(rec.Key)
				return resp, nil
			}
			n, err := s.addRecord(ctx, resp, p, rec, c, req.HeadersOnly)
			if err != nil {
				return nil, err
			}
			size += n
		}
	}
	return resp, nil
}

// scanPage is how many records are read at once: a message row may have 64 KiB.
const scanPage = 32

// scan is [store.Scan] with small pages.
func scan(ctx context.Context, s store.Store, p store.Partition, from, to store.Key) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for {
			page, err := s.Range(ctx, p, from, to, scanPage, false)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) < scanPage {
				return
			}
			from = store.After(page[len(page)-1].Key)
		}
	}
}

func inSections(k store.Key) bool {
	return slices.ContainsFunc(sections, func(p store.Key) bool { return inSection(k, p) })
}

func inSection(k, prefix store.Key) bool { return len(k) >= len(prefix) && k[:len(prefix)] == prefix }

// addRecord adds one record to a page and returns its size.
func (s *Service) addRecord(ctx context.Context, resp *resealv1.ReadDayResponse, p store.Partition, rec store.Record, c caller.Caller, headersOnly bool) (int, error) {
	switch {
	case len(rec.Value) == 0:
		return 0, nil
	case inSection(rec.Key, records.Receipts):
		resp.Receipts = append(resp.Receipts, rec.Value)
	case inSection(rec.Key, records.Ends):
		resp.Ends = append(resp.Ends, rec.Value)
	default:
		m, err := s.pendingFor(ctx, p, rec, c, headersOnly)
		if err != nil || m == nil {
			return 0, err
		}
		resp.Messages = append(resp.Messages, m)
		n := len(m.Header) + len(m.Inline) + len(m.Segments)
		for _, w := range m.Wraps {
			n += len(w)
		}
		return n, nil
	}
	return len(rec.Value), nil
}

// pendingFor is a message as the caller's device sees it, with the wraps for
// this device only; nil where it is the device's own, or a copy without a wrap
// for it.
func (s *Service) pendingFor(ctx context.Context, p store.Partition, rec store.Record, c caller.Caller, headersOnly bool) (*resealv1.Pending, error) {
	m, err := records.ParseMessage(rec.Value)
	if err != nil {
		return nil, err
	}
	h, err := message.ParseHeader(m.Header)
	if err != nil {
		return nil, err
	}
	isCopy := inSection(rec.Key, records.Copies)
	if isCopy && h.SenderDevice == c.Device {
		return nil, nil
	}
	pm := &resealv1.Pending{Header: m.Header, Copy: isCopy}
	if !headersOnly {
		pm.Inline, pm.Segments = m.Inline, m.Segments
	}
	for _, raw := range m.Wraps {
		if w, err := message.ParseWrap(raw); err == nil && w.Context.To.Device == c.Device {
			pm.Wraps = append(pm.Wraps, raw)
		}
	}
	later, err := s.wrapsFor(ctx, p, h.ID, c.Device)
	if err != nil {
		return nil, err
	}
	pm.Wraps = append(pm.Wraps, later...)
	if isCopy && len(pm.Wraps) == 0 {
		return nil, nil
	}
	return pm, nil
}

// wrapsFor are the wraps for one device that came after the message.
func (s *Service) wrapsFor(ctx context.Context, p store.Partition, id message.ID, d identity.DeviceID) ([][]byte, error) {
	var wraps [][]byte
	prefix := records.WrapsOf(id) + store.Key(d[:]) + "/"
	for rec, err := range store.Scan(ctx, s.Store, p, prefix, store.PrefixEnd(prefix), false) {
		if err != nil {
			return nil, err
		}
		wraps = append(wraps, rec.Value)
	}
	return wraps, nil
}
