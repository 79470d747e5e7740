package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/book"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
)

// The account book is the contacts as every device of the account shall know
// them. A change marks it dirty; it is sealed as the version after the newest
// one known and put. Whoever comes second is refused, merges and puts again.
// Merging is commutative and idempotent (package book), so an unknown outcome
// needs no exact repeat.

// errTwoKeys is the alarm of a contact that two devices know by two keys.
var errTwoKeys = errors.New("two devices of yours know this contact by different keys")

// ownBook is the book as this device has it.
func (s *step) ownBook() *book.Book {
	if len(s.me().Book) == 0 {
		return new(book.Book)
	}
	b, err := book.Parse(s.me().Book)
	if err != nil {
		s.tx.err = fmt.Errorf("%w: book", ErrState)
		return new(book.Book)
	}
	return b
}

// dirtyBook notes that a contact changed; noteBook writes it at the step's end.
func (s *step) dirtyBook(id identity.AccountID) {
	if s.dirty == nil {
		s.dirty = map[identity.AccountID]bool{}
	}
	s.dirty[id] = true
}

// noteBook brings the changed contacts into the book and puts it.
func (s *step) noteBook() {
	if len(s.dirty) == 0 || s.tx.err != nil {
		return
	}
	b := s.ownBook()
	for id := range s.dirty {
		if c := s.contact(id); c != nil {
			noteContact(b, c, slices.Contains(s.chosen, id))
		}
	}
	s.saveBook(b, true)
}

// noteContact brings one contact record into the book. While devices disagree
// about its key, only the user's choice changes that.
func noteContact(b *book.Book, c *state.Contact, chosen bool) {
	if c.ListVersion == 0 {
		return
	}
	pin := pinOf(c)
	h := handle.Handle(c.Handle)
	if !h.Valid() {
		h = ""
	}
	k := b.Add(h, pin)
	switch cur, err := k.Current(); {
	case chosen:
		k.Choose(pin)
	case errors.Is(err, book.ErrConflict), err == nil && cur == pin:
	case err != nil || k.Follow(pin) != nil:
		k.Choose(pin)
	}
	var verified identity.AccountPublic
	copy(verified[:], c.VerifiedKey)
	k.Verify(verified)
	k.SetBlocked(c.Blocked)
	k.Accepted = k.Accepted || c.Accepted
	k.Renamed = k.Renamed || c.Renamed
	b.Put(k)
}

// saveBook stores the book; dirty puts it to the server too.
func (s *step) saveBook(b *book.Book, dirty bool) {
	enc, err := b.Encode()
	if err != nil {
		// Full, at ten thousand contacts: the newest are not shared with other
		// devices, and nothing else stops working.
		s.count.BookFull++
		return
	}
	if bytes.Equal(enc, s.me().Book) && (s.me().BookDirty || !dirty) {
		return
	}
	s.edit(func(self *state.Self) { self.Book, self.BookDirty = enc, self.BookDirty || dirty })
	if dirty {
		s.putBook()
	}
}

// putBook puts the book as the version after the newest one known.
func (s *step) putBook() {
	if s.e.bookGetting || len(s.me().BookKey) != capsule.KeySize {
		return
	}
	version := s.me().BookVersion + 1
	st, err := s.ownBook().Store(s.e.rand, capsule.BookKeyOf([capsule.KeySize]byte(s.me().BookKey)), s.e.id.account, version)
	if err != nil {
		s.tx.err = fmt.Errorf("client: internal error: %w", err)
		return
	}
	s.e.bookPutting = bytes.Clone(s.me().Book)
	s.do(Call{fmt.Sprintf("book/put/%d", version), &resealv1.PutBookRequest{
		BaseVersion: s.me().BookVersion, Book: &resealv1.Book{Version: version, Parts: st.Parts},
	}})
}

func (s *step) getBook() {
	s.e.bookGetting = true
	s.do(Call{"book/get", &resealv1.GetBookRequest{}})
}

// bookPut: the server has the version.
func (s *step) bookPut(req *resealv1.PutBookRequest) {
	if req.Book.GetVersion() <= s.me().BookVersion {
		return
	}
	same := bytes.Equal(s.e.bookPutting, s.me().Book)
	s.edit(func(self *state.Self) { self.BookVersion, self.BookDirty = req.Book.Version, !same })
	if !same {
		s.putBook()
	}
}

// bookGot merges the server's version with the device's.
func (s *step) bookGot(resp *resealv1.GetBookResponse) error {
	s.e.bookGetting = false
	version := resp.GetBook().GetVersion()
	l, err := s.e.list(s.me().List)
	if err != nil {
		return fmt.Errorf("%w: own list", ErrState)
	}
	if version < max(l.List.BookVersion, s.me().BookVersion) {
		s.bookAlarm("the server serves an older contact book than the one that was signed")
		return nil
	}
	if version == 0 {
		if s.me().BookDirty {
			s.putBook()
		}
		return nil
	}
	remote, hash, err := s.loadBook(version, resp.Book.Parts)
	if errors.Is(err, book.ErrVersion) {
		s.count.Newer++
		return nil
	}
	if errors.Is(err, errNoBookKey) {
		return nil // a login brings it
	}
	if err != nil || (version == l.List.BookVersion && [32]byte(hash) != l.List.BookHash) {
		s.bookAlarm("the server serves a contact book that does not open")
		return nil
	}
	merged := book.Merge(s.ownBook(), remote)
	for _, c := range merged.Contacts() {
		s.applyContact(c)
	}
	theirs, err1 := remote.Encode()
	ours, err2 := merged.Encode()
	if err1 != nil || err2 != nil {
		s.count.BookFull++
		return nil
	}
	dirty := !bytes.Equal(theirs, ours)
	s.edit(func(self *state.Self) { self.Book, self.BookVersion, self.BookDirty = ours, version, dirty })
	if dirty {
		s.putBook()
	}
	return nil
}

func (s *step) bookAlarm(why string) {
	s.count.Alarms++
	s.show(Alarm{s.e.id.account, why})
}

// applyContact brings what the book says of a contact into its record.
func (s *step) applyContact(k book.Contact) {
	c := s.contact(k.Account)
	if k.Removed || (c == nil && len(k.Pins) == 0) {
		return
	}
	isNew := c == nil
	if isNew {
		c = &state.Contact{Account: k.Account[:]}
	}
	wasHeld, accepted, blocked := c.Blocked || c.Alarm != "", c.Accepted, c.Blocked
	c.Blocked, c.Accepted, c.Renamed = k.Blocked, c.Accepted || k.Accepted, c.Renamed || k.Renamed
	c.VerifiedKey = nil
	if k.Verified != (identity.AccountPublic{}) {
		c.VerifiedKey = k.Verified[:]
	}
	if k.Handle != "" && c.Handle != string(k.Handle) {
		c.Handle = string(k.Handle)
		s.tx.put(prefixHandle+c.Handle, c.Account)
	}
	switch pin, err := k.Current(); {
	case errors.Is(err, book.ErrConflict):
		if c.Alarm == "" {
			s.show(Alarm{k.Account, errTwoKeys.Error()})
			c.Alarm = errTwoKeys.Error()
		}
		if isNew && len(k.Pins) > 0 {
			setPin(c, k.Pins[0])
		}
	case err != nil:
	case isNew || string(c.Key) != string(pin.Key[:]):
		setPin(c, pin)
		// The user agreed to this very key, on another device.
		if l, err := s.e.list(c.AlarmList); err == nil && l.List.Key == pin.Key {
			c.Alarm, c.AlarmList = "", nil
		}
		fallthrough
	default:
		if c.Alarm == errTwoKeys.Error() {
			c.Alarm = ""
		}
		s.saveContact(c)
		if len(c.List) == 0 || pin.Version > c.ListVersion {
			s.wantAccount(k.Account)
		}
	}
	s.saveContact(c)
	if wasHeld && !c.Blocked && c.Alarm == "" {
		s.reconsider(k.Account)
	}
	s.decided(c, accepted, blocked)
}

// setPin takes a pin that another device vouches for; the list that belongs to
// it is fetched.
func setPin(c *state.Contact, p identity.Pin) {
	c.Key, c.Next, c.ListVersion, c.ListHash = p.Key[:], p.Next[:], p.Version, p.Hash[:]
	c.List, c.Certificates = nil, nil
}

// outstandingBook fetches the book where this device has none, and puts it
// where it has changed.
func (s *step) outstandingBook() {
	s.e.bookGetting = false
	switch {
	case s.me().BookVersion == 0:
		s.getBook()
	case s.me().BookDirty:
		s.putBook()
	}
	for _, name := range s.tx.names(prefixContact) {
		if c := load[state.Contact](&s.tx, name); c != nil && c.BlockUnsent {
			s.tellBlock(c)
		}
	}
}
