package client

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/book"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
)

// Rotating: this device is about to rotate its account, or to reset it. What it
// needs afterwards is durable before the server is asked, so that a crash in between
// leaves a device that has it, whether or not the rotation happened.
type Rotating struct {
	// Key is the account key that the rotation hands over to, or that of the
	// reset.
	Key  identity.AccountPublic
	Book capsule.BookKey
	// Row is zero where the section stays under the row key that it has.
	Row capsule.RowKey
}

// Retagged: the section lies under the row key of the rotation.
type Retagged struct{}

func (Rotating) event() {}
func (Retagged) event() {}

func (s *step) rotating(ev Rotating) error {
	book, row := ev.Book.Bytes(), ev.Row.Bytes()
	s.edit(func(self *state.Self) {
		self.NextKey, self.NextBookKey, self.NextRowKey = ev.Key[:], book[:], nil
		if !ev.Row.IsZero() {
			self.NextRowKey = row[:]
		}
	})
	return nil
}

// rotated takes the keys of a rotation once the own list carries its key.
// Another rotation means that this one never happened.
func (s *step) rotated(l *identity.SignedList) {
	here := bytes.Equal(s.me().NextKey, l.List.Key[:])
	if len(s.me().NextKey) == 0 || (!here && !l.Rotation()) {
		return
	}
	s.edit(func(self *state.Self) {
		if here {
			self.BookKey = self.NextBookKey
		} else {
			self.NextRowKey = nil
		}
		self.NextKey, self.NextBookKey = nil, nil
	})
}

// ownReset tells whether l is the reset that this device itself was about to
// make: it carries the key that was noted before the server was asked, and
// nobody else has that. No other key that nothing vouches for is taken for the
// own account's.
func (s *step) ownReset(old, l *identity.SignedList) bool {
	key := s.me().NextKey
	if len(key) != len(identity.AccountPublic{}) || l.Rotation() {
		return false
	}
	_, err := identity.PinOf(old).Agree(l, identity.AccountPublic(key))
	return err == nil
}

func (s *step) retagged() error {
	s.edit(func(self *state.Self) { self.NextRowKey = nil })
	return nil
}

// RowDue is the row key that the section shall lie under from now on; false
// where it stays as it is.
func (e *Engine) RowDue() (capsule.RowKey, bool) {
	if len(e.self.NextKey) > 0 || len(e.self.NextRowKey) != capsule.KeySize {
		return capsule.RowKey{}, false
	}
	return capsule.RowKeyOf([capsule.KeySize]byte(e.self.NextRowKey)), true
}

// errNoBookKey: the section has no key of the book.
var errNoBookKey = errors.New("client: no key of the book")

// loadBook opens a version of the book with the key that the device has, or
// with that of a rotation that it has not seen the list of yet.
func (s *step) loadBook(version uint64, parts [][]byte) (b *book.Book, hash book.Hash, err error) {
	err = errNoBookKey
	for _, k := range [][]byte{s.me().BookKey, s.me().NextBookKey} {
		if len(k) != capsule.KeySize {
			continue
		}
		if b, hash, err = book.Load(capsule.BookKeyOf([capsule.KeySize]byte(k)), s.e.id.account, version, parts); err == nil {
			break
		}
	}
	return b, hash, err
}

// Book is the account's book as this device has it, and the key that it is
// sealed under.
func (e *Engine) Book() (*book.Book, capsule.BookKey, error) {
	s := e.read()
	b := s.ownBook()
	if s.tx.err != nil || len(e.self.BookKey) != capsule.KeySize {
		return nil, capsule.BookKey{}, fmt.Errorf("%w: book", ErrState)
	}
	return b, capsule.BookKeyOf([capsule.KeySize]byte(e.self.BookKey)), nil
}

// Rekey gives a section the book's key as the capsule has it at a login: a
// rotation by another device may have renewed it. It returns nothing to store
// where the section has it.
func Rekey(st State, k capsule.BookKey) (Batch, error) {
	b, ok := st.Get(nameSelf)
	self := new(state.Self)
	if !ok || proto.Unmarshal(b, self) != nil {
		return nil, fmt.Errorf("%w: self", ErrState)
	}
	key := k.Bytes()
	if bytes.Equal(self.BookKey, key[:]) {
		return nil, nil
	}
	self.BookKey, self.NextKey, self.NextBookKey = key[:], nil, nil
	b, err := marshal(self)
	return Batch{{nameSelf, b}}, err
}
