package reseal

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/remote/link"
)

// tickEvery is how often the engine is told that time passes.
const tickEvery = 2 * time.Second

func (a *Account) tick() {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	told := false
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-t.C:
			a.stepLogged(client.Tick{})
			a.rewatch()
			told = a.tellOther(told)
		}
	}
}

// tellOther tells of another server at the address, once for as long as it
// answers.
func (a *Account) tellOther(told bool) bool {
	s := a.remote.link.State()
	other := !a.Connected() && errors.Is(s.Err, link.ErrOtherServer)
	if other && !told {
		a.events.send(Event{Kind: KindTrouble, Time: a.in.o.Now(), Text: ErrOtherServer.Error(), Err: ErrOtherServer})
	}
	return other
}

// run keeps the event stream open: connect, say what is outstanding, stream,
// read the pending days, and again when the connection is lost.
func (a *Account) run() {
	pause := time.Duration(0)
	for a.ctx.Err() == nil {
		if err := a.remote.link.Wait(a.ctx); err != nil {
			if isSessionEnd(err) {
				a.sessionEnded(err)
			}
			return
		}
		select {
		case <-a.woken: // of before
		default:
		}
		began := time.Now()
		err := a.stream(a.ctx)
		a.synced.clear()
		a.stepLogged(client.Disconnected{})
		a.events.send(Event{Kind: KindDisconnected, Time: a.in.o.Now()})
		if isSessionEnd(err) {
			a.sessionEnded(err)
			return
		}
		if time.Since(began) > 10*time.Second {
			pause = 0
		}
		pause = min(2*pause+50*time.Millisecond, 10*time.Second)
		a.mu.Lock()
		after := a.after
		a.mu.Unlock()
		select {
		case <-after(pause):
		case <-a.woken:
			pause = 0
		case <-a.ctx.Done():
		}
	}
}

// stream is one connection's life.
func (a *Account) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.mu.Lock()
	watched := a.engine.Watched()
	a.cut = cancel
	a.mu.Unlock()
	req := new(resealv1.EventsRequest)
	for _, id := range watched {
		req.Watch = append(req.Watch, id[:])
	}
	events, err := a.remote.mailbox.Events(link.FailFast(ctx), req)
	if err != nil {
		return err
	}
	defer events.Close()
	a.watched.Store(int64(len(watched)))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	a.events.send(Event{Kind: KindConnected, Time: a.in.o.Now()})
	if err := a.step(client.Connected{Since: a.since}); err != nil {
		return err
	}
	a.since = 0 // from now on, only the network comes back
	return a.receive(ctx, cancel, events, &wg)
}

func (a *Account) receive(ctx context.Context, cancel func(), events resealv1connect.MailboxServiceEventsClientStream, wg *sync.WaitGroup) error {
	due := make(chan struct{}, 1)
	wg.Go(func() { a.syncs(ctx, cancel, due) })
	for {
		ev, err := events.Receive()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		switch ev.Event.(type) {
		case *resealv1.EventsResponse_CaughtUp, *resealv1.EventsResponse_Resync:
			select {
			case due <- struct{}{}:
			default: // one that has not begun yet will do
			}
		case *resealv1.EventsResponse_Sessions:
		default:
			if err := a.step(client.Streamed{Event: ev}); err != nil {
				return err
			}
		}
	}
}

// syncs makes the syncs that a stream calls for, one at a time, and with pauses
// that grow where the server calls for one after the other.
func (a *Account) syncs(ctx context.Context, cancel func(), due <-chan struct{}) {
	var pause time.Duration
	for last := time.Now(); ; last = time.Now() {
		select {
		case <-due:
		case <-ctx.Done():
			return
		}
		if time.Since(last) > maxSyncPause {
			pause = 0
		}
		if err := a.sync(ctx); err != nil {
			if ctx.Err() == nil {
				a.log.Info("reseal: the pending days could not be read", "error", err)
				cancel() // the stream ends, and everything begins anew
			}
			return
		}
		pause = min(2*pause+time.Second, maxSyncPause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// maxSyncPause is the longest pause between two syncs of one connection.
const maxSyncPause = time.Minute

// sync reads all that is pending for the account, day by day, page by page.
func (a *Account) sync(ctx context.Context) error {
	a.mu.Lock()
	from, through := a.engine.SyncDays(a.in.now())
	a.mu.Unlock()
	if err := a.readOwn(ctx); err != nil {
		return err
	}
	if err := a.retag(); err != nil { // of a rotation that was cut off
		return err
	}
	for day := from; day <= through; day++ {
		if err := a.syncDay(ctx, day); err != nil {
			return err
		}
	}
	if err := a.step(client.Synced{Through: through}); err != nil {
		return err
	}
	a.synced.set()
	return nil
}

// syncDay reads one day, page by page.
func (a *Account) syncDay(ctx context.Context, day uint32) error {
	for next := []byte(nil); ; {
		resp, err := a.readDay(ctx, day, next)
		if err != nil {
			return err
		}
		if err := a.step(client.DayRead{Day: day, Response: resp}); err != nil {
			return err
		}
		if next = resp.Next; len(next) == 0 {
			return nil
		}
	}
}

// readOwn brings the own account's list and certificates up to date: another
// device may have come or gone while this one was away.
func (a *Account) readOwn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := a.remote.directory.GetAccounts(link.FailFast(ctx), &resealv1.GetAccountsRequest{
		Accounts: []*resealv1.KnownAccount{{AccountId: a.id[:]}},
	})
	if err != nil {
		return err
	}
	return a.step(client.Learned{Accounts: resp.Accounts})
}

func (a *Account) readDay(ctx context.Context, day uint32, from []byte) (*resealv1.ReadDayResponse, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 30*time.Second) {
		try, cancel := context.WithTimeout(link.FailFast(ctx), callTimeout)
		resp, err := a.remote.mailbox.ReadDay(try, &resealv1.ReadDayRequest{Day: day, From: from})
		cancel()
		if refusal.Reason(err) != resealv1.Reason_REASON_RATE {
			return resp, err
		}
		after := time.Duration(refusal.Detail(err).GetRetryAfterMs()) * time.Millisecond
		select {
		case <-time.After(pause + max(0, min(after, time.Minute))):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// rewatch tells the server which accounts matter, when they have changed.
func (a *Account) rewatch() {
	if !a.synced.is() {
		return
	}
	a.mu.Lock()
	ids := a.engine.Watched()
	a.mu.Unlock()
	if int64(len(ids)) == a.watched.Load() {
		return
	}
	req := new(resealv1.WatchRequest)
	for _, id := range ids {
		req.Watch = append(req.Watch, id[:])
	}
	ctx, cancel := context.WithTimeout(link.FailFast(a.ctx), callTimeout)
	defer cancel()
	if _, err := a.remote.mailbox.Watch(ctx, req); err == nil {
		a.watched.Store(int64(len(ids)))
	}
}

// latch is set while the account is connected and has read what waits.
type latch struct {
	mu   sync.Mutex
	on   bool
	over bool
	// next is what those wait for who came since it was set or failed last.
	next *outcome
}

// outcome is closed when it is there; err is set before.
type outcome struct {
	ch  chan struct{}
	err error
}

func (l *latch) is() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.on
}

func (l *latch) set() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.on || l.over {
		return
	}
	l.on = true
	l.tell(nil)
}

// fail tells those who wait what is in the way. It is tried on; but who waits
// may have to do something about it first.
func (l *latch) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell(err)
}

func (l *latch) tell(err error) {
	if l.next != nil {
		l.next.err = err
		close(l.next.ch)
		l.next = nil
	}
}

func (l *latch) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = false
}

// end reports whether it is the first call.
func (l *latch) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.over
	l.over, l.on = true, false
	return first
}

// wait waits until the latch is set, for some time; done is false after that.
func (l *latch) wait(ctx, account context.Context, some time.Duration) (done bool, err error) {
	l.mu.Lock()
	if l.on {
		l.mu.Unlock()
		return true, nil
	}
	if l.next == nil {
		l.next = &outcome{ch: make(chan struct{})}
	}
	next := l.next
	l.mu.Unlock()
	t := time.NewTimer(some)
	defer t.Stop()
	select {
	case <-next.ch:
		return true, next.err
	case <-t.C:
		return false, nil
	case <-ctx.Done():
		return false, ended(ctx)
	case <-account.Done():
		return false, context.Cause(account)
	}
}
