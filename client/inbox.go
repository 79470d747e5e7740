package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

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

const (
	// maxKeptWraps bounds what a server can make a device store for one message.
	maxKeptWraps = 8
	// maxWrap is more than any wrap of this version takes, bytes.
	maxWrap = 8 << 10
)

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
	if s.hasEnded(h.ID) {
		s.endAgain(h)
		return
	}
	if s.surelyExpired(h) {
		return
	}
	own := h.Sender == s.e.id.account && h.SenderDevice == s.e.id.device
	if own || (role == message.HolderCopy && s.out(h.ID) != nil) {
		return // this device made it, or holds it already
	}
	p = trimmed(h, p)
	in, isNew := s.in(h.ID), false
	if in == nil {
		if !s.admit(h, p) {
			return
		}
		isNew = true
		in = &state.In{
			Header: bytes.Clone(p.Header), State: inWaiting, SeenAt: uint64(s.now), Copy: p.Copy, Live: s.live && len(p.Wraps) == 0,
			Inline: p.Inline, Segments: p.Segments, WaitFrom: s.waitsFrom(),
		}
		if !in.Copy {
			s.count.Received++
		}
		if !p.Copy && s.isStranger(h.Sender) {
			s.noteStranger(h.ID, h.Sender, in)
		}
		s.waits(h)
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
		s.waitsNoMore(h.ID, in)
		s.waits(h)
		in.Header, in.Inline, in.Segments = bytes.Clone(p.Header), p.Inline, p.Segments
		s.tx.delete(strangerName(h.ID))
		if !in.Copy && s.isStranger(h.Sender) {
			s.noteStranger(h.ID, h.Sender, in)
		}
	} else if in.Inline == nil && p.Inline != nil {
		in.Inline, in.Segments = p.Inline, p.Segments
	} else if h.Blob.IsZero() && !isIntact(h, in.Inline, in.Segments) && isIntact(h, p.Inline, p.Segments) {
		// Altered on its way before, it must not keep the good one out.
		in.Inline, in.Segments = p.Inline, p.Segments
	}
	if !isNew {
		s.resizeStranger(h.ID, in)
	}
	if in.State != inWaiting && in.State != inUpdate {
		s.saveIn(h.ID, in)
		return
	}
	s.moreWraps(in, p.Wraps)
	s.open(h, in)
	if isNew && !in.Copy {
		s.show(Arrived{h.ID, h.Sender, in.State == inReady, in.State == inUpdate})
	}
}

// trimmed leaves of what the server told of a message what belongs to it: a body
// only where it travels with the message.
func trimmed(h message.Header, p *resealv1.Pending) *resealv1.Pending {
	t := &resealv1.Pending{Header: p.Header, Copy: p.Copy, Wraps: p.Wraps}
	if h.Blob.IsZero() && !p.Copy && uint64(len(p.Inline)) == h.Length && len(p.Segments) <= message.MaxInlineSegments {
		t.Inline, t.Segments = p.Inline, p.Segments
	}
	return t
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
		if known || len(w) > maxWrap {
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

// open tries the wraps of a waiting message and stores what came of it.
func (s *step) open(h message.Header, in *state.In) {
	secret, from, v := s.tryWraps(h, in)
	switch v {
	case good:
	case newer:
		in.State, in.Held = inUpdate, true
		s.saveIn(h.ID, in)
		s.closeAsks(h.ID)
		return
	default:
		in.State = inWaiting
		in.Held = in.Held || v == held
		s.saveIn(h.ID, in)
		s.wantWraps(h.ID, in)
		return
	}
	s.waitsNoMore(h.ID, in)
	told := in.ToldRecord
	if in.Copy {
		s.keepCopy(h, secret.CEK[:], secret.R[:])
		s.tellEnd(h.ID, told)
		return
	}
	in.State, in.Cek, in.R, in.ReadyAt, in.ToldEnd, in.ToldRecord = inReady, secret.CEK[:], secret.R[:], uint64(s.now), 0, nil
	in.ByAccount, in.ByDevice = from.Account[:], from.Device[:]
	s.saveIn(h.ID, in)
	if s.tellEnd(h.ID, told); s.hasEnded(h.ID) { // before the key came
		return
	}
	s.countOpened(h, in, from)
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
	s.releaseAsks(id)
	if err := s.reopen(s.waiting(id)); err != nil {
		s.tx.err = err
		return
	}
	s.advance()
}

// reopen looks again at the wraps of waiting messages.
func (s *step) reopen(ids []message.ID) error {
	for _, id := range ids {
		in := s.in(id)
		if in == nil {
			continue
		}
		if len(in.Wraps) == 0 {
			s.wantWraps(id, in)
			continue
		}
		h, err := message.ParseHeader(in.Header)
		if err != nil {
			return fmt.Errorf("%w: in", ErrState)
		}
		s.open(h, in)
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
	if err := s.reopen(s.waiting(s.e.id.account)); err != nil {
		return err
	}
	s.dropOldEpochs()
	s.freshEpoch()
	s.ask(true)
	s.rereadSynced()
	s.probe()
	s.bookUntold()
	s.show(CaughtUp{})
	return nil
}
