package reseal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

// MessageID is a message's id: 32 bytes, shown as 64 hexadecimal digits.
type MessageID = message.ID

// Policy is what a view does to a message.
type Policy = message.Policy

// The policies.
const (
	// Once: the first view ends it everywhere.
	Once = message.Once
	// Keep: it stays readable on every device until it expires or is unsent.
	Keep = message.Keep
)

// Outgoing is a content and whom it is for.
type Outgoing struct {
	// To are handles. If one is unknown, nothing is sent to anybody.
	To []string
	// Text is the content, unless File is set.
	Text string
	// File is the content as a stream, of Size bytes; -1 when that is not
	// known: then it is spooled, encrypted, in the installation's folder.
	File io.Reader
	Size int64
	// Name and Type describe a file; Type is a media type.
	Name, Type string
	Caption    string
	Thumbnail  []byte
	// Policy is Once where it is not set.
	Policy Policy
	// Expires is how long the message may wait; 0 and everything above 30
	// days is 30 days.
	Expires time.Duration
	// Queue lets the message wait here while there is no connection. Without
	// it Send fails and nothing is queued.
	Queue bool
	// Progress is told how far the work is; the stages are "seal" and "upload".
	Progress func(stage string, done, total uint64)
	// Key, if it is set, names this sending: where it is repeated after a crash
	// with the same key, what was taken before is not sent again, and File is
	// read only if nothing was.
	Key SendKey
}

// Sent is what became of a message to one account.
type Sent struct {
	To      string
	Account identity.AccountID
	// Message is the id, once the server has it; zero while queued.
	Message MessageID
	// Devices have a wrap; Rewrapped of them were found by the second look.
	Devices, Rewrapped int
	// Err is why the server refused it for good.
	Err error
	// Queued: it waits here for a connection.
	Queued bool
}

// textType is the media type of a content that is a text message.
const textType = "text/plain; charset=utf-8; reseal=message"

// Send seals a content, uploads it once, and sends a message to each recipient.
// It returns when the server has stored all of them, durable, or refused them.
// When ctx ends before, what was not handed to the server yet is taken back.
// A server that has no room fails it with ErrServerFull, unless it may wait
// (Queue); what the server may have got already waits in any case, as Queued
// tells. Errors: *UnknownAccountError, ErrOffline, ErrAlarm, ErrBlocked,
// ErrTooLarge, *QuotaError, *ClockError, ErrFull, ErrServerFull, and what
// reading File failed with.
func (a *Account) Send(ctx context.Context, o Outgoing) ([]Sent, error) {
	if len(o.To) == 0 {
		return nil, &UnknownAccountError{""}
	}
	if o.Policy == 0 {
		o.Policy = Once
	}
	if err := a.Online(ctx); err != nil && !(o.Queue && (errors.Is(err, ErrOffline) || errors.Is(err, ErrOtherServer))) {
		return nil, err
	}
	if err := a.checkClock(); err != nil && !o.Queue {
		return nil, err
	}
	sent, err := a.resolve(ctx, o)
	if err != nil {
		return nil, err
	}
	to, err := a.recipients(o.Key, sent)
	if err != nil {
		return nil, err
	}
	open := map[message.ClientID]int{}
	for i, r := range to {
		open[r.Client] = i
	}
	mine := maps.Clone(open)
	var file atomic.Pointer[string] // of the content, once there is one
	sub := a.events.subscribe(func(e Event) bool {
		_, is := mine[e.client]
		f := file.Load()
		return is || f != nil && *f != "" && e.file == *f
	})
	defer a.events.cancel(sub)
	if to, err = a.taken(o.Key, to, sent, open); err != nil || len(to) == 0 {
		if err == nil {
			sent, err = a.await(ctx, sub, open, sent, o.Queue, "")
		}
		return sent, err
	}
	content, err := a.seal(ctx, o)
	if err != nil {
		return nil, err
	}
	file.Store(&content.File)
	cmd := client.Send{Content: content.ID, Policy: o.Policy, Life: o.Expires, To: to}
	if o.Progress != nil && content.File != "" {
		defer a.watchUpload(content.File, o.Progress)()
	}
	if err := a.step(*content); err != nil {
		a.forget(content.File)
		return nil, err
	}
	if err := a.step(cmd); err != nil {
		_ = a.step(client.DropContent{ID: content.ID})
		return nil, err
	}
	return a.await(ctx, sub, open, sent, o.Queue, content.File)
}

// clockLimit is how far from its own the server lets a time be.
const clockLimit = time.Hour

// ahead is how far the device's clock is ahead of the server's, as far as that
// is known.
func (a *Account) ahead() time.Duration {
	offset, _ := a.Skew() // of the system's clock, whatever Options.Now says
	return a.in.o.Now().Sub(time.Now().Add(offset)).Round(time.Second)
}

// checkClock refuses at once what the server would refuse later, or what would
// wait for the device's own keys to become valid.
func (a *Account) checkClock() error {
	if _, known := a.Skew(); known && a.ahead().Abs() > clockLimit {
		return &ClockError{a.ahead()}
	}
	return nil
}

// resolve finds the accounts behind the handles, each once.
func (a *Account) resolve(ctx context.Context, o Outgoing) ([]Sent, error) {
	var sent []Sent
	seen := map[identity.AccountID]bool{}
	for _, name := range o.To {
		h, err := handle.Parse(name)
		if err != nil {
			return nil, &UnknownAccountError{name}
		}
		id, err := a.lookup(ctx, string(h), o.Queue)
		if err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			sent = append(sent, Sent{To: string(h), Account: id})
		}
	}
	return sent, nil
}

// lookup asks the directory for a handle and pins what it says, or follows it.
// Without a server a known contact will do where the message may be queued.
func (a *Account) lookup(ctx context.Context, name string, queue bool) (identity.AccountID, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if queue && !a.Connected() {
		if c, ok := a.contact(name); ok {
			return c.Account, nil
		}
		return identity.AccountID{}, ErrOffline
	}
	resp, err := a.remote.directory.Lookup(ctx, &resealv1.LookupRequest{Handle: name})
	if refusal.Reason(err) == resealv1.Reason_REASON_UNKNOWN_ACCOUNT {
		a.noteClosed(name)
		return identity.AccountID{}, &UnknownAccountError{name}
	}
	if err != nil {
		return identity.AccountID{}, a.in.callError(err)
	}
	if k := resp.Account; k.GetHandle() != name || len(k.GetAccountId()) != len(identity.AccountID{}) {
		return identity.AccountID{}, as(ErrServer, fmt.Errorf("keys for %s: another handle, or no account", name))
	}
	// A handle that named somebody else before is not followed silently: the
	// server could make any account of its own stand behind a friend's name.
	id := identity.AccountID(resp.Account.AccountId)
	if c, ok := a.contact(name); ok && c.Accepted && c.Account != id {
		return identity.AccountID{}, &RenamedError{name}
	}
	if err := a.step(client.AddContact{Keys: resp.Account}); err != nil {
		return identity.AccountID{}, err
	}
	return id, nil
}

func (a *Account) contact(name string) (client.Contact, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.engine.ContactByHandle(name)
}

// seal encrypts the content: in memory where it travels with the message, to a
// file where it becomes a blob.
func (a *Account) seal(ctx context.Context, o Outgoing) (*client.AddContent, error) {
	src, meta, done, err := a.source(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done()
	c := &client.AddContent{Name: meta.Name, Type: meta.Type, Caption: meta.Caption, Size: meta.Size, Created: a.in.now()}
	if c.ID, err = seal.NewContentID(a.in.o.Rand); err != nil {
		return nil, err
	}
	if c.CEK, err = seal.NewCEK(a.in.o.Rand); err != nil {
		return nil, err
	}
	n, err := seal.CiphertextLen(meta)
	if err != nil {
		return nil, as(ErrTooLarge, err)
	}
	if n <= message.MaxInline {
		var buf bytes.Buffer
		res, err := a.sealTo(ctx, &buf, src, c, meta, nil)
		if err != nil {
			return nil, err
		}
		c.Inline, c.Segments, c.Digest, c.Length = buf.Bytes(), res.Segments, message.Digest(res.Digest), res.Length
		return c, nil
	}
	if c.Blob, err = message.NewBlobID(a.in.o.Rand); err != nil {
		return nil, err
	}
	return c, a.sealFile(ctx, src, c, meta, o.Progress)
}

// source is the content as a stream of known size.
func (a *Account) source(ctx context.Context, o Outgoing) (io.Reader, seal.Meta, func(), error) {
	meta := seal.Meta{Name: o.Name, Type: o.Type, Caption: o.Caption, Thumbnail: o.Thumbnail}
	nothing := func() {}
	switch {
	case o.File == nil:
		meta.Type, meta.Size = textType, uint64(len(o.Text))
		return bytes.NewReader([]byte(o.Text)), meta, nothing, meta.Validate()
	case o.Size >= 0:
		meta.Size = uint64(o.Size)
		return o.File, meta, nothing, describeError(meta.Validate())
	}
	f, err := a.newFile()
	if err != nil {
		return nil, meta, nothing, err
	}
	remove := func() { _ = f.Close(); _ = os.Remove(f.Name()) }
	spool, err := seal.NewSpool(f, a.in.o.Rand)
	if err != nil {
		remove()
		return nil, meta, nothing, err
	}
	var n uint64
	in := &progress{r: o.File, ctx: ctx, done: func(k int) {
		if n += uint64(k); o.Progress != nil {
			o.Progress("read", n, 0)
		}
	}}
	if _, err := io.Copy(spool, in); err != nil {
		remove()
		return nil, meta, nothing, diskError(err)
	}
	r, size, err := spool.Reader()
	if err != nil {
		remove()
		return nil, meta, nothing, diskError(err)
	}
	meta.Size = size
	return r, meta, remove, describeError(meta.Validate())
}

func describeError(err error) error {
	if errors.Is(err, seal.ErrMeta) || errors.Is(err, seal.ErrTooLarge) {
		return as(ErrTooLarge, err)
	}
	return err
}

// sealFile seals to a file, durable before the content is recorded.
func (a *Account) sealFile(ctx context.Context, src io.Reader, c *client.AddContent, meta seal.Meta, report func(string, uint64, uint64)) (err error) {
	f, err := a.newFile()
	if err != nil {
		return err
	}
	name := filepath.Base(f.Name())
	defer func() {
		if cerr := f.Close(); err == nil {
			err = diskError(cerr)
		}
		if err != nil {
			a.forget(name)
		}
	}()
	res, err := a.sealTo(ctx, f, src, c, meta, report)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return diskError(err)
	}
	if err := a.writeFile(name+segmentsSuffix, res.Segments); err != nil {
		return err
	}
	c.File, c.Digest, c.Length = name, message.Digest(res.Digest), res.Length
	return syncDir(a.in.files)
}

func (a *Account) sealTo(ctx context.Context, dst io.Writer, src io.Reader, c *client.AddContent, meta seal.Meta, report func(string, uint64, uint64)) (seal.Result, error) {
	w, err := seal.NewWriter(dst, a.in.o.Rand, c.CEK, seal.Context{
		Kind: uint8(message.KindContent), Content: c.ID, Sender: a.id, Created: c.Created,
	}, meta)
	if err != nil {
		return seal.Result{}, describeError(diskError(err))
	}
	var n uint64
	in := &progress{r: src, ctx: ctx, done: func(k int) {
		if n += uint64(k); report != nil {
			report("seal", n, meta.Size)
		}
	}}
	if _, err := io.Copy(w, in); err != nil {
		return seal.Result{}, diskError(err)
	}
	if err := w.Close(); err != nil {
		return seal.Result{}, diskError(err)
	}
	return w.Result()
}

// await waits until each message is stored or refused.
func (a *Account) await(ctx context.Context, sub *subscriber, open map[message.ClientID]int, sent []Sent, queue bool, file string) ([]Sent, error) {
	if queue && !a.Connected() {
		for _, i := range open {
			sent[i].Queued = true
		}
		return sent, nil
	}
	for len(open) > 0 {
		e, ok := sub.next(ctx)
		if !ok {
			return sent, a.takeBack(ctx, open, nil)
		}
		i, mine := open[e.client]
		if e.Kind == KindTrouble && errors.Is(e.Err, ErrServerFull) && (mine || file != "" && e.file == file) {
			for _, i := range open {
				sent[i].Queued = queue || mine // what was asked for once is asked for until it is answered
			}
			if queue {
				return sent, nil
			}
			return sent, a.takeBack(ctx, open, e.Err)
		}
		if !mine || (e.Kind != KindStored && e.Kind != KindNotSent) {
			continue
		}
		delete(open, e.client)
		sent[i].Message, sent[i].Devices, sent[i].Rewrapped, sent[i].Err = e.ID, e.Devices, e.Rewrapped, e.Err
	}
	var errs []error
	for _, s := range sent {
		if s.Err != nil {
			errs = append(errs, fmt.Errorf("reseal: to %s: %w", s.To, s.Err))
		}
	}
	return sent, errors.Join(errs...)
}

// takeBack cancels what was not handed to the server yet.
func (a *Account) takeBack(ctx context.Context, open map[message.ClientID]int, why error) error {
	cmd := client.Cancel{Clients: slices.Collect(maps.Keys(open))}
	if err := a.step(cmd); err != nil {
		return err
	}
	switch {
	case why != nil:
		return why
	case a.ctx.Err() != nil:
		return context.Cause(a.ctx)
	}
	return ended(ctx)
}

func (a *Account) sendError(err error, handle string) error {
	var r *client.RefusalError
	if !errors.As(err, &r) {
		return engineError(err)
	}
	switch r.Reason {
	case resealv1.Reason_REASON_LIMIT:
		return overLimit(r.Limit, r.After)
	case resealv1.Reason_REASON_UNKNOWN_ACCOUNT:
		return as(&UnknownAccountError{handle}, err)
	case resealv1.Reason_REASON_UNKNOWN_BLOB:
		return as(ErrGone, err)
	case resealv1.Reason_REASON_CLOCK:
		return &ClockError{a.ahead()}
	}
	return err
}
