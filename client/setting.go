package client

import (
	"bytes"
	"errors"

	"github.com/reseal/reseal/book"
)

// SetSetting gives a setting of the account a value; an empty one removes it. It
// is in the book of every device (spec/book.md). Errors: ErrNoBook,
// ErrSettingName, ErrBookFull.
type SetSetting struct {
	Name  string
	Value []byte
}

// SettingChanged: another device of the account changed a setting.
type SettingChanged struct{ Name string }

func (SetSetting) event()      {}
func (SettingChanged) notice() {}

// What changes of the book fail with: SetSetting, and of these ErrNoBook also
// ChangeContact and Settings.
var (
	// ErrNoBook: this device is new and has not read the account's book yet. What
	// is changed now would count as older than what is there.
	ErrNoBook = errors.New("client: the book was not read yet")
	// ErrSettingName: a name is 1 to 64 bytes of a-z, 0-9, '.', '_', '-'.
	ErrSettingName = errors.New("client: not a setting's name")
	// ErrBookFull: the value is longer than 1,024 bytes, there are 256 settings,
	// or the book has no room.
	ErrBookFull = errors.New("client: the book is full")
)

func (s *step) setSetting(ev SetSetting) error {
	if !s.e.bookRead() {
		return ErrNoBook
	}
	b := s.ownBook()
	switch err := b.Set(ev.Name, ev.Value); {
	case errors.Is(err, book.ErrMalformed):
		return ErrSettingName
	case err != nil:
		return ErrBookFull
	}
	if _, err := b.Encode(); err != nil {
		return ErrBookFull
	}
	s.saveBook(b)
	return nil
}

// bookRead tells whether the device has read a book, where its list says that
// there is one.
func (e *Engine) bookRead() bool {
	l, err := e.list(e.self.List)
	return err != nil || l.List.BookVersion == 0 || e.self.BookVersion > 0
}

// settingsChanged tells of what another device changed.
func (s *step) settingsChanged(old, merged *book.Book) {
	for _, n := range merged.Settings() {
		was, _ := old.Setting(n.Name)
		if !bytes.Equal(was, n.Value) {
			s.show(SettingChanged{n.Name})
		}
	}
}

// Settings are the account's settings that have a value, by name. Errors:
// ErrNoBook.
func (e *Engine) Settings() (map[string][]byte, error) {
	if !e.bookRead() {
		return nil, ErrNoBook
	}
	s := e.read()
	all := map[string][]byte{}
	for _, n := range s.ownBook().Settings() {
		if len(n.Value) > 0 {
			all[n.Name] = n.Value
		}
	}
	return all, s.tx.err
}
