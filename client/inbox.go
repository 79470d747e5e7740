package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

// The states of a message to us (state.In).
const (
	inWaiting = 1
	inReady   = 2
	inViewing = 3 // once: the intent to view is stored
	inViewed  = 4
	inExpired = 5
	inUnsent  = 6
	inUpdate  = 7 // needs a newer version of the program
)

// maxKeptWraps bounds what a server can make a device store for one message.
const maxKeptWraps = 8

var (
	// ErrUnknownMessage: no message has this id here.
	ErrUnknownMessage = errors.New("client: unknown message")
	// ErrWaiting: no key for the message has come to this device yet.
	ErrWaiting = errors.New("client: the message waits for its key")
	// ErrUpdate: the message needs a newer version of the program.
	ErrUpdate = errors.New("client: the message needs a newer version of the program")
)

// EndedError: the message is over.
type EndedError struct{ State message.State }

func (e *EndedError) Error() string { return "client: message " + e.State.String() }

func outState(n uint32) message.State {
	switch n {
	case outViewed:
		return message.StateViewed
	case outExpired:
		return message.StateExpired
	}
	return message.StateUnsent
}

func inState(n uint32) (message.State, bool) {
	switch n {
	case inViewed:
		return message.StateViewed, true
	case inExpired:
		return message.StateExpired, true
	case inUnsent:
		return message.StateUnsent, true
	}
	return 0, false
}

// arrived takes a message, or more wraps for it, as the server tells of it.
func (s *step) arrived(p *resealv1.Pending) {
	h, err := message.ParseHeader(p.GetHeader())
	if errors.Is(err, message.ErrVersion) {
		s.keepNewer(p)
		return
	}
	if err != nil || h.Rewrapped() {
		s.count.BadHeaders++
		return
	}
	role, err := h.RoleOf(s.e.id.account)
	if err != nil || (role == message.HolderCopy) != p.Copy {
		s.count.BadHeaders++
		return
	}
	if _, ended := s.tx.get(endName(h.ID)); ended || s.surelyExpired(h) {
		return
	}
	own := h.Sender == s.e.id.account && h.SenderDevice == s.e.id.device
	if own || (role == message.HolderCopy && s.out(h.ID) != nil) {
		return // this device made it, or holds it already
	}
	in, isNew := s.in(h.ID), false
	if in == nil {
		isNew = true
		in = &state.In{
			Header: bytes.Clone(p.Header), State: inWaiting, SeenAt: uint64(s.now), Copy: p.Copy, Live: s.live && len(p.Wraps) == 0,
			Inline: p.Inline, Segments: p.Segments,
		}
		if h.Blob.IsZero() && uint64(len(p.Inline)) != h.Length && !p.Copy {
			in.Inline, in.Segments = nil, nil
		}
		s.tx.put(prefixWait+h.ID.String(), present)
		s.tx.put(expireName(h.Expires, "in/"+h.ID.String()), present)
	} else if !bytes.Equal(in.Header, p.Header) {
		// Other bytes under one id: whichever opens is the message. Only the
		// sender's wrap can tell; while none has, the newer word is kept.
		if in.State != inWaiting {
			s.count.BadHeaders++
			return
		}
		if old, err := message.ParseHeader(in.Header); err == nil {
			s.tx.delete(expireName(old.Expires, "in/"+h.ID.String()))
		}
		s.tx.put(expireName(h.Expires, "in/"+h.ID.String()), present)
		in.Header, in.Inline, in.Segments = bytes.Clone(p.Header), p.Inline, p.Segments
	} else if in.Inline == nil && h.Blob.IsZero() && uint64(len(p.Inline)) == h.Length {
		in.Inline, in.Segments = p.Inline, p.Segments
	} else if h.Blob.IsZero() && !isIntact(h, in.Inline, in.Segments) && isIntact(h, p.Inline, p.Segments) {
		// Altered on its way before, it must not keep the good one out.
		in.Inline, in.Segments = p.Inline, p.Segments
	}
	if in.State != inWaiting && in.State != inUpdate {
		s.saveIn(h.ID, in)
		return
	}
	s.moreWraps(in, p.Wraps)
	s.open(h, in)
	if isNew && !in.Copy {
		s.show(Arrived{h.ID, h.Sender, in.State == inReady})
	}
}

// isIntact tells whether a ciphertext is the one that the header's digest names.
func isIntact(h message.Header, inline, segments []byte) bool {
	segs, err := seal.ParseSegments(segments, seal.Digest(h.Digest))
	return err == nil && segs.Length() == h.Length && segs.Verify(bytes.NewReader(inline)) == nil
}

func (s *step) moreWraps(in *state.In, wraps [][]byte) {
	for _, w := range wraps {
		known := false
		for _, k := range in.Wraps {
			known = known || bytes.Equal(k, w)
		}
		if known {
			continue
		}
		// What came last is kept: what cannot be judged yet must not keep the
		// good one out.
		if in.Wraps = append(in.Wraps, w); len(in.Wraps) > maxKeptWraps {
			in.Wraps = slices.Delete(in.Wraps, 0, 1)
		}
	}
}

// surelyExpired tells whether a message is over by this device's clock and, as
// far as it is known, by the server's. Where only the own clock says so, a
// message is kept, and hidden.
func (s *step) surelyExpired(h message.Header) bool {
	return h.Expired(s.now) && s.clock.Server != 0 && h.Expired(s.clock.Server)
}

// maxNewer is how many messages of a newer version are kept.
const maxNewer = 256

// newerKept is how long they are kept at most, from when they came.
const newerKept = message.MaxLife + message.EndKept

// keepNewer keeps what this program cannot read for one that can.
func (s *step) keepNewer(p *resealv1.Pending) {
	s.count.Newer++
	sum := sha256.Sum256(p.Header)
	name := prefixNewer + hex.EncodeToString(sum[:])
	if _, ok := s.tx.get(name); ok || len(s.tx.names(prefixNewer)) >= maxNewer {
		return
	}
	s.tx.save(name, p)
	s.tx.put(expireName(s.now.Add(newerKept), name), present)
}

// rereadNewer looks whether this program is the one by now.
func (s *step) rereadNewer(name string) {
	p := load[resealv1.Pending](&s.tx, name)
	if p == nil {
		return
	}
	if _, err := message.ParseHeader(p.Header); errors.Is(err, message.ErrVersion) {
		return
	}
	s.tx.delete(name)
	s.arrived(p)
}

// open tries the wraps of a waiting message and stores what came of it.
func (s *step) open(h message.Header, in *state.In) {
	secret, from, v := s.tryWraps(h, in)
	switch v {
	case good:
	case newer:
		in.State = inUpdate
		s.saveIn(h.ID, in)
		return
	default:
		in.State = inWaiting
		s.saveIn(h.ID, in)
		return
	}
	s.tx.delete(prefixWait + h.ID.String())
	if in.Copy {
		s.keepCopy(h, secret.CEK[:], secret.R[:])
		return
	}
	in.State, in.Cek, in.R, in.ReadyAt, in.ToldEnd = inReady, secret.CEK[:], secret.R[:], uint64(s.now), 0
	in.ByAccount, in.ByDevice = from.Account[:], from.Device[:]
	s.saveIn(h.ID, in)
	s.count.Opened++
	if in.Retried {
		s.count.Retried++
		switch {
		case from.Account == s.e.id.account:
			s.count.ByOwn++
		case from.Device == h.SenderDevice:
			s.count.BySender++
		default:
			s.count.BySenderOther++
		}
	}
	s.show(Ready{
		ID: h.ID, From: h.Sender, SenderDevice: h.SenderDevice, Waited: s.now.Sub(identity.Time(in.SeenAt)),
		Retried: in.Retried, ByAccount: from.Account, ByDevice: from.Device,
	})
	s.closeAsks(h.ID)
	if c := s.contact(h.Sender); c != nil && c.Accepted {
		s.post(h, message.R(in.R), message.Received)
	}
}

// keepCopy turns a holder copy into a record of a message of ours, so that
// this device can answer for it.
func (s *step) keepCopy(h message.Header, cek, r []byte) {
	s.tx.delete(inName(h.ID))
	s.saveOut(h.ID, &state.Out{
		Header: h.Encode(), State: outStored, Copy: true, Cek: cek, R: r, StoredAt: uint64(s.now), Handle: s.handleOf(h.Recipient),
	})
	s.tx.put(expireName(h.Expires, "out/"+h.ID.String()), present)
	if s.contact(h.Recipient) == nil && h.Recipient != s.e.id.account {
		s.wantAccount(h.Recipient)
	}
}

// reconsider looks again at everything that may have waited for an account's
// keys.
func (s *step) reconsider(id identity.AccountID) {
	if err := s.reopen(func(h message.Header) bool { return h.Sender == id || h.Recipient == id }); err != nil {
		s.tx.err = err
		return
	}
	s.advance()
}

// reopen looks again at the wraps of waiting messages.
func (s *step) reopen(which func(message.Header) bool) error {
	for _, name := range s.tx.names(prefixWait) {
		id, err := message.ParseID(name[len(prefixWait):])
		if err != nil {
			continue
		}
		in := s.in(id)
		if in == nil || len(in.Wraps) == 0 {
			continue
		}
		h, err := message.ParseHeader(in.Header)
		if err != nil {
			return fmt.Errorf("%w: in", ErrState)
		}
		if which(h) {
			s.open(h, in)
		}
	}
	return nil
}

// dayRead takes a page of a day's records. Messages come first: receipts and
// ends are checked by what their wraps hold.
func (s *step) dayRead(ev DayRead) error {
	for _, p := range ev.Response.GetMessages() {
		s.arrived(p)
	}
	for _, b := range ev.Response.GetReceipts() {
		s.receipt(b)
	}
	for _, b := range ev.Response.GetEnds() {
		s.end(b)
	}
	return nil
}

// synced: every pending record of the account was read; what has no wrap is
// asked for now.
func (s *step) synced(ev Synced) error {
	s.e.behind = false
	s.edit(func(self *state.Self) { self.SyncedDay, self.SyncedAt = ev.Through, uint64(s.now) })
	s.dropOldEpochs()
	s.freshEpoch()
	if err := s.reopen(func(message.Header) bool { return true }); err != nil {
		return err
	}
	s.ask(true)
	s.show(CaughtUp{})
	return nil
}

// SyncDays are the days that a sync has to read, first and last: from the last
// complete sync minus 2, or from that of the oldest message that waits, to
// tomorrow; a new device reads all 32.
func (e *Engine) SyncDays(now identity.Time) (from, through uint32) {
	if e.server != 0 {
		now = e.server // the records lie where its clock has put them
	}
	through = now.Day() + 1
	from = through - 32
	// A day in the future was noted by a clock that was wrong.
	first := from
	if synced := e.self.SyncedDay; synced > from+3 && synced <= through {
		from = synced - 3 // which is one day ahead itself
	}
	// A wrap for a message that waits may have come without an entry in the
	// queue. Ids begin with the day: the first name is the oldest.
	for _, name := range e.state.Names(prefixWait) {
		if id, err := message.ParseID(name[len(prefixWait):]); err == nil {
			from = max(first, min(from, id.Day()))
			break
		}
	}
	return from, through
}

// maxWatched is how many accounts the server lets a stream watch.
const maxWatched = 4096

// Watched are the accounts whose changes this device wants to hear of: those
// that the user accepted first. Whoever writes becomes a contact, so that
// strangers could otherwise make the list longer than the server takes, and the
// stream would be refused for good.
func (e *Engine) Watched() []identity.AccountID {
	var accepted, others []identity.AccountID
	s := e.read()
	for _, name := range s.tx.names(prefixContact) {
		c := load[state.Contact](&s.tx, name)
		id, err := identity.ParseAccountID(strings.TrimPrefix(name, prefixContact))
		switch {
		case c == nil || err != nil:
		case c.Accepted:
			accepted = append(accepted, id)
		default:
			others = append(others, id)
		}
	}
	all := append(accepted, others...)
	return all[:min(len(all), maxWatched)]
}
