package auth

import (
	"context"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
)

// noticeLife is how long a notice waits for a device that is away.
const noticeLife = 30 * 24 * time.Hour

// tell puts a notice into the queue of every device of a list. It comes after
// what it tells of, which stands: where it fails, that is logged and no more.
func (s *Service) tell(ctx context.Context, l *identity.SignedList, n records.Notice) {
	e := records.Entry{Kind: records.EntryNotice, Extra: n.Encode()}
	for _, d := range l.List.Devices {
		if err := s.Queues.Push(ctx, l.List.Account, d.ID, e, s.now().Add(noticeLife)); err != nil {
			s.Log.WarnContext(ctx, "auth: a notice was not told", "error", err)
		}
	}
}

func notice(what resealv1.AccountNotice_What, at identity.Time) records.Notice {
	return records.Notice{What: uint8(what), At: at}
}
