package mailbox

import (
	"context"
	"encoding/binary"
	"errors"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/message"
)

// retryExtra is what a queue entry of kind EntryRetry carries: where the
// request lies, and the part of it dealt to this device (none: all of it).
type retryExtra struct {
	Requester identity.AccountID
	Day       uint32
	Request   [32]byte
	Part      []message.ID
}

// Encode returns the bytes of an entry's Extra.
func (r retryExtra) Encode() []byte {
	b := binary.BigEndian.AppendUint32(append([]byte(nil), r.Requester[:]...), r.Day)
	b = append(b, r.Request[:]...)
	for _, id := range r.Part {
		b = append(b, id[:]...)
	}
	return b
}

func parseRetryExtra(b []byte) (r retryExtra, err error) {
	const fixed = 16 + 4 + 32
	if len(b) < fixed || (len(b)-fixed)%32 != 0 {
		return r, records.ErrDamaged
	}
	r.Requester, r.Day, r.Request = identity.AccountID(b[:16]), binary.BigEndian.Uint32(b[16:20]), [32]byte(b[20:52])
	for b = b[fixed:]; len(b) > 0; b = b[32:] {
		r.Part = append(r.Part, message.ID(b[:32]))
	}
	return r, nil
}

// fillRetry hands a retry request over, if it is still open, with the
// requester's keys as they are now.
func (s *Service) fillRetry(ctx context.Context, e records.Entry, ev *resealv1.EventsResponse) error {
	x, err := parseRetryExtra(e.Extra)
	if err != nil {
		return err
	}
	b, err := s.get(ctx, records.DayPartition(x.Requester, x.Day), records.RequestKey(x.Request))
	if err != nil || b == nil {
		return err
	}
	r, err := roster.Read(ctx, s.Store, x.Requester)
	if errors.Is(err, roster.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	// A holder that is further behind sees a gap and asks the directory.
	k, err := r.Keys(ctx, s.Store, r.List.List.Version)
	if err != nil {
		return err
	}
	rr := &resealv1.RetryRequested{Request: b, Requester: k}
	for _, id := range x.Part {
		rr.MessageIds = append(rr.MessageIds, id[:])
	}
	ev.Event = &resealv1.EventsResponse_Retry{Retry: rr}
	return nil
}

// Extra encodes where a retry request lies, and the part of it that is meant.
func (s *Service) Extra(requester identity.AccountID, day uint32, request [32]byte, part []message.ID) []byte {
	return retryExtra{requester, day, request, part}.Encode()
}
