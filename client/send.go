package client

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

// The states of a message of ours (state.Out).
const (
	outQueued  = 1 // the exact request is stored; its outcome is not known
	outStored  = 2
	outViewed  = 3
	outExpired = 4
	outUnsent  = 5
	outRefused = 6
)

// ErrUnknownContent: Send names a content that is not there.
var ErrUnknownContent = errors.New("client: unknown content")

// addContent stores a sealed content and, where it is a file, uploads it.
func (s *step) addContent(ev AddContent) error {
	name := contentName(ev.ID)
	if _, ok := s.tx.get(name); ok {
		return nil
	}
	if err := s.mayStore(len(ev.Inline)); err != nil {
		return err
	}
	c := &state.Content{
		Id: ev.ID[:], Cek: ev.CEK[:], Digest: ev.Digest[:], Length: ev.Length, Blob: ev.Blob[:],
		Inline: ev.Inline, Segments: ev.Segments, File: ev.File, Uploaded: ev.Inline != nil,
		Name: ev.Name, Type: ev.Type, Size: ev.Size, Caption: ev.Caption, Created: uint64(ev.Created),
	}
	s.tx.save(name, c)
	// A content that no message ever refers to is forgotten in a day, as the
	// server collects its blob.
	s.tx.put(expireName(ev.Created.Add(24*time.Hour), "content/"+hex.EncodeToString(ev.ID[:])), present)
	s.upload(c)
	return nil
}

func (s *step) upload(c *state.Content) {
	if c.Uploaded {
		return
	}
	s.do(Upload{
		Content: seal.ContentID(c.Id), Blob: message.BlobID(c.Blob), File: c.File, Length: c.Length,
		Capability: seal.CEK(c.Cek).Capability(),
	})
}

func (s *step) content(id []byte) *state.Content {
	if len(id) != len(seal.ContentID{}) {
		return nil
	}
	return load[state.Content](&s.tx, contentName(seal.ContentID(id)))
}

// dropContent forgets a content that was not sent to anybody.
func (s *step) dropContent(ev DropContent) error {
	if c := s.content(ev.ID[:]); c != nil && len(s.tx.names(prefixUses+hex.EncodeToString(ev.ID[:])+"/")) == 0 {
		s.forgetContent(c)
	}
	return nil
}

func (s *step) forgetContent(c *state.Content) {
	s.tx.delete(contentName(seal.ContentID(c.Id)))
	if c.File != "" {
		s.do(Forget{c.File})
	}
}

// uploaded lets the messages that waited for a blob go.
func (s *step) uploaded(ev Uploaded) error {
	c := s.content(ev.ID[:])
	if c == nil {
		return nil
	}
	if ev.Refusal == nil {
		c.Uploaded = true
		s.tx.save(contentName(ev.ID), c)
		s.advance()
		return nil
	}
	for _, name := range s.tx.names(prefixQueue) {
		if q := load[state.Queued](&s.tx, name); q != nil && string(q.Content) == string(ev.ID[:]) {
			s.unqueue(name, q, refusalError(ev.Refusal))
		}
	}
	return nil
}

// send queues one message for each recipient. The header and the exact request
// are made when the blob is at the server, because the creation time in the
// header must be near the server's.
func (s *step) send(ev Send) error {
	c := s.content(ev.Content[:])
	if c == nil {
		return ErrUnknownContent
	}
	if ev.Life <= 0 || ev.Life > message.MaxLife {
		ev.Life = message.MaxLife
	}
	for _, r := range ev.To {
		if err := s.mayAddress(r.Account); err != nil {
			return err
		}
	}
	if err := s.mayStore(0); err != nil {
		return err
	}
	for _, r := range ev.To {
		s.accept(r.Account)
	}
	for _, r := range ev.To {
		// A command that is repeated, after a crash, is the same message: its
		// keys must not be drawn a second time.
		if _, ok := s.tx.get(prefixClient + hex.EncodeToString(r.Client[:])); ok {
			continue
		}
		s.tx.put(prefixClient+hex.EncodeToString(r.Client[:]), present)
		name := prefixQueue + hex.EncodeToString(r.Client[:])
		s.tx.save(name, &state.Queued{
			Content: ev.Content[:], To: r.Account[:], ClientId: r.Client[:],
			Policy: uint32(ev.Policy), LifeMs: uint64(ev.Life.Milliseconds()), QueuedAt: uint64(s.now),
		})
		s.tx.put(usesName(ev.Content[:], hex.EncodeToString(r.Client[:])), present)
	}
	s.advance()
	return nil
}

// accept takes an account as a contact.
func (s *step) accept(id identity.AccountID) {
	c := s.contact(id)
	if c == nil || c.Accepted {
		return
	}
	c.Accepted = true
	s.saveContact(c)
	s.dirtyBook(id)
	s.welcome(id)
}

// mayAddress tells whether anything may be sent to an account now.
func (s *step) mayAddress(id identity.AccountID) error {
	switch p := s.peer(id); {
	case p.blocked:
		return ErrBlocked
	case p.alarm:
		return ErrAlarm
	case !p.known:
		return ErrUnknownContact
	}
	return nil
}

// advance moves every queued message as far as it can go.
func (s *step) advance() {
	names := s.tx.names(prefixQueue)
	if len(names) == 0 {
		return
	}
	epoch := s.freshEpoch()
	if epoch == nil {
		return
	}
	for _, name := range names {
		q := load[state.Queued](&s.tx, name)
		if q == nil {
			continue
		}
		c := s.content(q.Content)
		if c == nil {
			s.unqueue(name, q, ErrUnknownContent)
			continue
		}
		if !c.Uploaded {
			continue
		}
		switch err := s.mayAddress(identity.AccountID(q.To)); {
		case errors.Is(err, ErrBlocked):
			s.unqueue(name, q, err)
		case err != nil: // held back until the user decides, or keys come
		default:
			s.build(name, q, c, epoch)
		}
	}
}

// unqueue gives a queued message up.
func (s *step) unqueue(name string, q *state.Queued, why error) {
	s.tx.delete(name)
	s.tx.delete(prefixClient + hex.EncodeToString(q.ClientId))
	s.show(NotSent{message.ClientID(q.ClientId), identity.AccountID(q.To), why})
	s.release(q.Content, hex.EncodeToString(q.ClientId))
}

// release drops one use of a content, and with the last one the content.
func (s *step) release(content []byte, what string) {
	s.tx.delete(usesName(content, what))
	if len(s.tx.names(prefixUses+hex.EncodeToString(content)+"/")) > 0 {
		return
	}
	if c := s.content(content); c != nil {
		s.forgetContent(c)
	}
}
