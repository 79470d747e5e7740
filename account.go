package reseal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/client/remote/transfer"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/secretmem"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/seal"
)

// Account is an account that is logged in at an installation and open in this
// process. It keeps itself connected until LogOut or Installation.Close.
type Account struct {
	in      *Installation
	section *vault.Section
	remote  *remoteServer
	blobs   *transfer.Remote
	log     *slog.Logger
	handle  string
	id      identity.AccountID
	device  identity.DeviceID

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	start  time.Time
	// since is when the user began to log in, or to start; run's own, and 0
	// once a connection stands.
	since identity.Time

	// mu guards what follows, the engine first of all: one step at a time, its batch stored before the
	// next step and before any of its effects.
	mu     sync.Mutex
	engine *client.Engine
	token  vault.Token
	closed bool
	// after is time.After, for the pause between two streams; tests change it.
	after func(time.Duration) <-chan time.Time
	// cut ends the stream that is open, nil without one.
	cut context.CancelFunc

	flights flights

	fileKey  fileKey
	fetching turns
	viewing  turns // of once messages

	events  broadcaster
	synced  latch
	watched atomic.Int64 // how many accounts the server was told to watch; -1 for none
	// woken ends the pause between two streams; of size 1.
	woken chan struct{}
	// leaving: the end of the session is of our own making (LogOut).
	leaving atomic.Bool
}

// start opens the engine of a section and lets it run; began is when its user
// began to log in, or to start. list is the account's as a login found it, nil
// without one.
func (in *Installation) start(section *vault.Section, server, token string, key opaque.ServerKey, began identity.Time, list *identity.SignedList) (*Account, error) {
	e, err := client.Open(section, in.o.Rand)
	if err != nil {
		_ = section.Close()
		return nil, as(ErrDamaged, err)
	}
	names, err := fileKeyOf(e.DeviceKey())
	if err != nil {
		_ = section.Close()
		return nil, err
	}
	r, err := in.connect(server, link.NewToken(token), key)
	if err != nil {
		_ = section.Close()
		return nil, err
	}
	a := &Account{
		woken: make(chan struct{}, 1), after: time.After,
		in: in, section: section, remote: r, engine: e, handle: e.Handle(), id: e.Account(), device: e.Device(),
		token: vault.Token(secretmem.New([]byte(token))), log: in.o.Log, start: time.Now(), since: began, fileKey: names,
	}
	a.watched.Store(-1)
	a.blobs = a.newTransfer(server)
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	if err := a.dropOrphans(); err != nil {
		a.stop()
		return nil, err
	}
	if own, _, err := e.OwnKeys(); err == nil && list != nil && list.List.Version > own.List.Version {
		if err := a.step(client.LoggedIn{List: list.Bytes()}); err != nil {
			a.stop()
			return nil, err
		}
	}
	if err := in.add(a); err != nil {
		a.stop()
		return nil, err
	}
	a.wg.Go(a.run)
	a.wg.Go(a.tick)
	return a, nil
}

// Handle is the account's own handle.
func (a *Account) Handle() string { return a.handle }

// ID is the account's id.
func (a *Account) ID() identity.AccountID { return a.id }

// Device is the id of the device that the account is here.
func (a *Account) Device() identity.DeviceID { return a.device }

// Server is the URL of the account's server.
func (a *Account) Server() string { return a.remote.url }

// Skew is the server's clock minus the device's; known is false before the
// first connection.
func (a *Account) Skew() (offset time.Duration, known bool) { return a.remote.link.ServerTime() }

// Online waits until the account is connected and has read everything that
// waits for it. Without a server, and when the connection is lost meanwhile, it
// fails with ErrOffline at once, or ErrOtherServer; with ErrFull, or what else the disk says, where
// what came could not be stored.
func (a *Account) Online(ctx context.Context) error {
	for {
		if a.synced.is() && a.Connected() {
			return nil
		}
		if err := a.remote.first(ctx); err != nil {
			return a.in.callError(err)
		}
		if done, err := a.synced.wait(ctx, a.ctx, lookAgain); done || err != nil {
			return err
		}
	}
}

// lookAgain is how often who waits for the first sync looks whether there still
// is a connection to read over.
const lookAgain = 50 * time.Millisecond

// Connected reports whether the account has a connection now.
func (a *Account) Connected() bool {
	k := a.remote.link.State().Kind
	return k == link.Connected || k == link.GoingAway
}

// Wake connects now, if there is no connection, instead of at the next try,
// which may be a minute away: the system says that the network is back, or the
// app came to the foreground. It does not wait; Online does.
func (a *Account) Wake() {
	select {
	case a.woken <- struct{}{}:
	default:
	}
	a.remote.link.Retry()
}

// clock is the time for one step of the engine.
func (a *Account) clock() client.Clock {
	c := client.Clock{Wall: a.in.now(), Mono: time.Since(a.start)}
	if offset, known := a.remote.link.ServerTime(); known && a.Connected() {
		// The offset was taken by the system's clock, which the server's time
		// is told apart from, whatever Options.Now says.
		c.Server = identity.TimeOf(time.Now().Add(offset))
	}
	return c
}

// step lets one event happen: the batch is durable before the effects begin.
func (a *Account) step(ev client.Event) (err error) {
	secretmem.Do(func() { err = a.stepHere(ev) })
	return err
}

func (a *Account) stepHere(ev client.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrClosed
	}
	out, err := a.engine.Step(a.clock(), ev)
	if err != nil {
		return engineError(err)
	}
	if len(out.Batch) > 0 {
		if err := a.section.Commit(vaultBatch(out.Batch)); err != nil {
			if err = a.uncommitted(ev, err); err != nil {
				a.synced.fail(err)
			}
			return err
		}
	}
	for _, f := range out.Effects {
		a.perform(f)
	}
	return nil
}

// reopenEngine starts the engine anew from what is stored, after a batch that
// could not be: what it had in memory was ahead of the disk. The stream ends
// with it: only the next one tells the engine that it is connected, what is
// outstanding, and that it has read what waits. It is called with the lock held.
func (a *Account) reopenEngine() {
	a.reloadEngine()
	if a.cut != nil {
		a.cut()
	}
}

func (a *Account) reloadEngine() {
	if e, err := client.Open(a.section, a.in.o.Rand); err == nil {
		a.engine = e
	}
}

// stepLogged is step for events that no caller waits for.
func (a *Account) stepLogged(ev client.Event) {
	if err := a.step(ev); err != nil && !errors.Is(err, ErrClosed) {
		a.log.Warn("reseal: an event could not be taken", "error", err)
		a.events.send(Event{Kind: KindTrouble, Text: err.Error(), Time: a.in.o.Now()})
	}
}

// perform begins an effect; it never blocks.
func (a *Account) perform(f client.Effect) {
	switch f := f.(type) {
	case client.Call:
		a.flights.begin(f.Key, func(answered func()) { a.call(f, answered) })
	case client.Upload:
		a.flights.begin("upload/"+f.File, func(answered func()) { a.upload(f, answered) })
	case client.Forget:
		a.forget(f.File)
	case client.Show:
		a.shown(f.Notice)
	}
}

// callTimeout bounds one try of a call.
const callTimeout = 30 * time.Second

// call makes a call until its answer is definite, and steps with it. It gives
// up when the connection is lost: the next Connected brings the call again.
func (a *Account) call(c client.Call, answered func()) {
	pause, refusals := 100*time.Millisecond, 0
	for a.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(link.FailFast(a.ctx), callTimeout)
		resp, err := a.invoke(ctx, c.Request)
		cancel()
		if err == nil || !refusal.Passing(err) {
			// The key is free before the step: what the step calls for next may
			// have the same one.
			answered()
			a.answered(c, resp, err)
			return
		}
		if !a.Connected() {
			return
		}
		a.waits(c, err, &refusals)
		if after := time.Duration(refusal.Detail(err).GetRetryAfterMs()) * time.Millisecond; after > pause {
			pause = min(after, time.Minute)
		}
		select {
		case <-time.After(pause):
		case <-a.ctx.Done():
		}
		pause = min(2*pause, 30*time.Second)
	}
}

// patientRefusals is how often in a row the server may say that it takes no
// message before who waits is told: it may be for seconds only.
const patientRefusals = 5

// waits tells of a server that takes no messages now.
func (a *Account) waits(c client.Call, err error, refusals *int) {
	req, ok := c.Request.(*resealv1.SendRequest)
	if refusal.Reason(err) != resealv1.Reason_REASON_UNAVAILABLE || !ok || len(req.ClientId) != len(message.ClientID{}) {
		return
	}
	if *refusals++; *refusals == patientRefusals {
		a.events.send(Event{
			Kind: KindTrouble, Time: a.in.o.Now(), Text: ErrServerFull.Error(), Err: ErrServerFull, client: message.ClientID(req.ClientId),
		})
	}
}

func (a *Account) answered(c client.Call, resp proto.Message, err error) {
	ev := client.Answered{Call: c, Response: resp}
	if err != nil {
		if isSessionEnd(err) {
			a.sessionEnded(err)
			return
		}
		d := refusal.Detail(err)
		if d == nil {
			a.log.Warn("reseal: a call failed", "error", err)
			d = &resealv1.ErrorDetail{Reason: resealv1.Reason_REASON_INTERNAL}
		}
		ev.Refusal = &client.Refusal{Reason: d.Reason, Detail: d}
	}
	a.stepLogged(ev)
}

// invoke makes the call that a request's type names.
func (a *Account) invoke(ctx context.Context, req proto.Message) (proto.Message, error) {
	r := a.remote
	switch q := req.(type) {
	case *resealv1.SendRequest:
		return wrapNil(r.mailbox.Send(ctx, q))
	case *resealv1.OfferListRequest:
		return wrapNil(r.account.OfferList(ctx, q))
	case *resealv1.AddWrapsRequest:
		return wrapNil(r.mailbox.AddWraps(ctx, q))
	case *resealv1.AcknowledgeRequest:
		return wrapNil(r.mailbox.Acknowledge(ctx, q))
	case *resealv1.ClaimRequest:
		return wrapNil(r.mailbox.Claim(ctx, q))
	case *resealv1.PostReceiptRequest:
		return wrapNil(r.mailbox.PostReceipt(ctx, q))
	case *resealv1.AskRetryRequest:
		return wrapNil(r.mailbox.AskRetry(ctx, q))
	case *resealv1.CloseRetryRequest:
		return wrapNil(r.mailbox.CloseRetry(ctx, q))
	case *resealv1.GetAccountsRequest:
		return wrapNil(r.directory.GetAccounts(ctx, q))
	case *resealv1.GetCertificatesRequest:
		return wrapNil(r.directory.GetCertificates(ctx, q))
	case *resealv1.ChallengeEpochRequest:
		return wrapNil(r.account.ChallengeEpoch(ctx, q))
	case *resealv1.PublishEpochRequest:
		return wrapNil(r.account.PublishEpoch(ctx, q))
	case *resealv1.GetBookRequest:
		return wrapNil(r.account.GetBook(ctx, q))
	case *resealv1.PutBookRequest:
		return wrapNil(r.account.PutBook(ctx, q))
	case *resealv1.ReadDayRequest:
		return wrapNil(r.mailbox.ReadDay(ctx, q))
	case *resealv1.SetBlockedRequest:
		return wrapNil(r.account.SetBlocked(ctx, q))
	}
	panic("reseal: internal error: no call for " + string(req.ProtoReflect().Descriptor().FullName()))
}

// wrapNil keeps a nil answer a nil interface.
func wrapNil[T proto.Message](m T, err error) (proto.Message, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// stop ends everything that runs for the account and wipes its keys.
func (a *Account) stop() {
	a.cancel(ErrClosed)
	_ = a.remote.link.Close()
	a.wg.Wait()
	a.flights.end()
	a.wipe()
	_ = a.section.Close()
	a.events.close()
}

// wipe closes the account for whoever still holds it, with nothing left in it
// that its section is to protect.
func (a *Account) wipe() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.engine.Wipe()
	secretmem.Free(a.token)
	a.token = nil // the memory may be another's from now on
}

// Format writes the account's id, whatever the verb: an Account holds the keys
// of its device and the token of its session.
func (a *Account) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "account "+a.id.String()) }

// sessionEnded: the session was ended at the server. The keys are wiped, the
// session record goes; the next login finds the section.
func (a *Account) sessionEnded(why error) {
	if a.leaving.Load() || !a.synced.end() {
		return
	}
	end := sessionEnd(why)
	if errors.Is(end, ErrRemoved) {
		a.events.send(Event{Kind: KindRemoved, Time: a.in.o.Now()})
	}
	a.events.send(Event{Kind: KindSessionEnded, Time: a.in.o.Now(), Err: end})
	a.cancel(end)
	a.in.end(a, end)
}

// capability is a content's capability as package transfer has it.
func capability(k seal.CEK) transfer.Capability { return transfer.Capability(k.Capability()) }
