package auth

import (
	"context"
	"sync"
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

// laterTime is how long telling after the answer may take.
const laterTime = 10 * time.Second

// tellLater is tell, after the call has been answered. See [Service.Wait].
func (s *Service) tellLater(ctx context.Context, l *identity.SignedList, n records.Notice) {
	s.later.run(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), laterTime)
		defer cancel()
		s.tell(ctx, l, n)
	})
}

// tellOfTry tells an account's devices, after the answer, that somebody showed a
// wrong code; not of each where there are many.
func (s *Service) tellOfTry(ctx context.Context, l *identity.SignedList, what resealv1.AccountNotice_What) {
	if s.Limiter.Allow("recovery_told", string(l.List.Account[:])) == nil {
		s.tellLater(ctx, l, notice(what, s.hour()))
	}
}

// Wait waits for what calls have left to do after their answers, some seconds at
// most. The store must stay open until then.
func (s *Service) Wait() { s.later.wait() }

// tasks is a wait group that may be added to while somebody waits: calls go on
// while a server is being cut off.
type tasks struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n is 0 again; nil: nobody waits
}

func (t *tasks) run(f func()) {
	t.mu.Lock()
	t.n++
	t.mu.Unlock()
	go func() {
		defer func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.n--; t.n == 0 && t.idle != nil {
				close(t.idle)
				t.idle = nil
			}
		}()
		f()
	}()
}

func (t *tasks) wait() {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	<-idle
}

func notice(what resealv1.AccountNotice_What, at identity.Time) records.Notice {
	return records.Notice{What: uint8(what), At: at}
}
