package client

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
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
	enc := s.encodedBook()
	if len(enc) == 0 {
		return new(book.Book)
	}
	b, err := book.Parse(enc)
	if err != nil {
		s.tx.err = fmt.Errorf("%w: book", ErrState)
		return new(book.Book)
	}
	return b
}

// encodedBook is the book's record, empty where there is none. It is a record of
// its own: at its largest it is near what one record may take.
func (s *step) encodedBook() []byte {
	b, _ := s.tx.get(nameBook)
	return b
}

// BookFull: the book is full, so that this device alone knows of the change that
// was made to a contact. Nothing else stops working.
type BookFull struct{}

func (BookFull) notice() {}

// bookFull tells of a change that the full book could not take.
func (s *step) bookFull() {
	s.count.BookFull++
	s.show(BookFull{})
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
	for _, id := range slices.SortedFunc(maps.Keys(s.dirty), func(a, b identity.AccountID) int { return bytes.Compare(a[:], b[:]) }) {
		if c := s.contact(id); c != nil {
			noteContact(b, c, slices.Contains(s.chosen, id))
		}
	}
	s.saveBook(b)
}

// noteContact brings one contact record into the book. While devices disagree
// about its key, only the user's choice changes that. Of those about whom the
// user decided nothing, only who is in it already is followed: whoever writes
// becomes a contact, and anybody could fill it.
func noteContact(b *book.Book, c *state.Contact, chosen bool) {
	if c.ListVersion == 0 {
		return
	}
	if _, in := b.Contact(identity.AccountID(c.Account)); !in && !isKnown(c) {
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
	k.Refused = max(k.Refused, identity.Time(c.Refused))
	b.Put(k)
}

// saveBook stores the book and puts it, where anything in it changed.
func (s *step) saveBook(b *book.Book) {
	enc, err := b.Encode()
	if err != nil {
		s.bookFull()
		return
	}
	if bytes.Equal(enc, s.encodedBook()) {
		return
	}
	s.tx.put(nameBook, enc)
	s.edit(func(self *state.Self) { self.BookDirty = true })
	s.putBook()
}

// putBook puts the book as the version after the newest one known.
func (s *step) putBook() {
	if s.e.bookGetting || s.e.bookPutting != nil || len(s.me().BookKey) != capsule.KeySize {
		return // what comes of it looks again
	}
	base, version := s.me().BookVersion, s.me().BookVersion+1
	if s.e.bookOver > 0 {
		base, version = s.e.bookOver-1, max(version, s.signedBook()+1)
	}
	st, err := s.ownBook().Store(s.e.rand, capsule.BookKeyOf([capsule.KeySize]byte(s.me().BookKey)), s.e.id.account, version)
	if err != nil {
		s.tx.err = fmt.Errorf("client: internal error: %w", err)
		return
	}
	s.e.bookPutting = append([]byte{}, s.encodedBook()...)
	// A put from before a reconnect may still be under way with another content:
	// its answer must not be taken for this one's.
	s.e.bookPuts++
	s.e.bookPutKey = fmt.Sprintf("book/put/%d/%d", version, s.e.bookPuts)
	s.do(Call{s.e.bookPutKey, &resealv1.PutBookRequest{
		BaseVersion: base, Book: &resealv1.Book{Version: version, Parts: st.Parts},
	}})
}

func (s *step) getBook() {
	s.e.bookGetting = true
	s.do(Call{"book/get", &resealv1.GetBookRequest{}})
}

// bookTold: the server has this version. A newer one is fetched; so is an older
// one, of a server that was put back from a backup, which is then given this
// device's: whoever comes new finds the book that the list names.
func (s *step) bookTold(version uint64) {
	s.e.bookSeen = true
	known := s.me().BookVersion
	if s.e.bookGetting {
		s.e.bookMissed = max(s.e.bookMissed, version)
	}
	if version > known || (version < known && s.e.bookPutting == nil && !s.e.bookGetting) {
		s.getBook()
	}
}

// bookUntold: all that waits was read, and the server has named no version. Where
// this device knows of one, the server has none.
func (s *step) bookUntold() {
	if !s.e.bookSeen && s.me().BookVersion > 0 && s.e.bookPutting == nil && !s.e.bookGetting {
		s.getBook()
	}
	s.e.bookSeen = true
}

// bookPut: the server has the version.
func (s *step) bookPut(key string, req *resealv1.PutBookRequest) {
	ours := key == s.e.bookPutKey
	same := ours && bytes.Equal(s.e.bookPutting, s.encodedBook())
	if ours {
		s.e.bookPutting, s.e.bookOver = nil, 0
	}
	if req.Book.GetVersion() > s.me().BookVersion {
		s.edit(func(self *state.Self) { self.BookVersion, self.BookDirty = req.Book.Version, !same })
	}
	if s.me().BookDirty {
		s.putBook()
	}
}

// bookNotPut: the server has another version, or refuses this one.
func (s *step) bookNotPut(key string, why resealv1.Reason) {
	if key != s.e.bookPutKey {
		return // what is under way now is answered for itself
	}
	s.e.bookPutting, s.e.bookOver = nil, 0
	if why == resealv1.Reason_REASON_LIMIT {
		s.bookFull() // the server keeps no book of this size
	}
	if why == resealv1.Reason_REASON_CONFLICT && s.mayCall(budgetBook) {
		s.getBook()
	}
}

// bookGot takes the server's version, and fetches once more where a newer one was
// named since that call began.
func (s *step) bookGot(resp *resealv1.GetBookResponse) error {
	missed := s.e.bookMissed
	s.e.bookGetting, s.e.bookMissed = false, 0
	err := s.mergeBook(resp)
	if err == nil && missed > resp.GetBook().GetVersion() && !s.e.bookGetting {
		s.getBook()
	}
	return err
}

// mergeBook merges the server's version with the device's.
func (s *step) mergeBook(resp *resealv1.GetBookResponse) error {
	version := resp.GetBook().GetVersion()
	l, err := s.e.list(s.me().List)
	if err != nil {
		return fmt.Errorf("%w: own list", ErrState)
	}
	if version < max(l.List.BookVersion, s.me().BookVersion) {
		s.bookAlarm("the server serves an older contact book than the one that was signed")
		s.offerBook(version)
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
	own := s.ownBook()
	merged := book.Merge(own, remote)
	s.meet(own, merged)
	ours, err := merged.Encode()
	if err != nil {
		// Together they are too much: this device's own stay its own.
		s.bookFull()
		merged = remote
		if ours, err = remote.Encode(); err != nil {
			return fmt.Errorf("client: internal error: %w", err)
		}
	}
	s.settingsChanged(s.ownBook(), merged)
	for _, c := range merged.Contacts() {
		s.applyContact(merged, c)
	}
	theirs, err := remote.Encode()
	dirty := err != nil || !bytes.Equal(theirs, ours)
	s.tx.put(nameBook, ours)
	s.edit(func(self *state.Self) { self.BookVersion, self.BookDirty = version, dirty })
	if dirty {
		s.putBook()
	}
	return nil
}

// meet brings what this device knows by itself into contacts that its own book did
// not have: nobody had decided about them here, but their lists were followed, and
// what another device knows may be older.
func (s *step) meet(own, merged *book.Book) {
	for _, k := range merged.Contacts() {
		if _, in := own.Contact(k.Account); in || k.Removed {
			continue
		}
		if c := s.contact(k.Account); c != nil && c.ListVersion > 0 {
			k.Meet(pinOf(c))
			merged.Put(k)
		}
	}
}

func (s *step) bookAlarm(why string) {
	s.count.Alarms++
	s.show(Alarm{s.e.id.account, why})
}

// applyContact brings what the book says of a contact into its record.
func (s *step) applyContact(b *book.Book, k book.Contact) {
	c := s.contact(k.Account)
	if k.Removed || (c == nil && len(k.Pins) == 0) {
		return
	}
	isNew := c == nil
	if isNew {
		c = &state.Contact{Account: k.Account[:]}
	}
	wasHeld, before := c.Blocked || c.Alarm != "", decisionOf(c)
	c.Blocked, c.Accepted, c.Renamed = k.Blocked, c.Accepted || k.Accepted, c.Renamed || k.Renamed
	c.Refused = max(c.Refused, uint64(k.Refused))
	c.VerifiedKey = nil
	if k.Verified != (identity.AccountPublic{}) {
		c.VerifiedKey = k.Verified[:]
	}
	if k.Handle != "" {
		c.Handle = string(k.Handle)
		s.bookHandle(b, k)
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
	s.decided(c, before)
}

// bookHandle lets a handle name a contact of the book. Of several with that
// handle it names, on every device, whom the user accepted, then who was not
// called so later than another; and it is taken away from nobody whom the user
// knows by it here.
func (s *step) bookHandle(b *book.Book, k book.Contact) {
	named := b.Named(k.Handle)
	rank := func(c book.Contact) (n int) {
		if !c.Accepted {
			n += 2
		}
		if c.Renamed {
			n++
		}
		return n
	}
	slices.SortStableFunc(named, func(a, b book.Contact) int { return rank(a) - rank(b) })
	if len(named) == 0 || named[0].Account != k.Account {
		return
	}
	name := prefixHandle + string(k.Handle)
	if old, ok := s.tx.get(name); ok && len(old) == len(k.Account) && identity.AccountID(old) != k.Account {
		if c := s.contact(identity.AccountID(old)); c != nil && (c.Accepted || (isKnown(c) && !k.Accepted)) {
			return
		}
	}
	s.tx.put(name, k.Account[:])
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
	s.e.bookGetting, s.e.bookMissed, s.e.bookPutting, s.e.bookSeen = false, 0, nil, false
	switch {
	case s.me().BookVersion == 0 || len(s.encodedBook()) == 0:
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
