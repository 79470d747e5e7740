package seal

import (
	"fmt"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
)

// Limits of a description, bytes.
const (
	MaxName      = 255      // UTF-8
	MaxType      = 127      // printable ASCII
	MaxCaption   = 64 << 10 // UTF-8
	MaxThumbnail = 64 << 10

	metaFixed = 8 + 2 + 2 + 4 + 4
	maxMeta   = metaFixed + MaxName + MaxType + MaxCaption + MaxThumbnail
	frameSize = 4 // length of the description, ahead of it
)

// Meta describes a content. It travels inside the ciphertext and is as authentic
// as the sender; it is not fit for a file system or a terminal as it is: a name
// may hold separators, dots and control characters.
type Meta struct {
	Name      string // file name, may be empty
	Type      string // media type (RFC 6838), may be empty
	Caption   string
	Size      uint64 // true length of the content, bytes
	Thumbnail []byte // a small picture, in the format of the caller's choice
}

// Validate returns [ErrMeta] with the field's name for a field over its limit,
// text that is not UTF-8, or a type with other than printable ASCII, and
// [ErrTooLarge] for a size that the format does not carry.
func (m Meta) Validate() error {
	_, err := m.padded()
	return err
}

func (m Meta) check() error {
	switch {
	case len(m.Name) > MaxName || !utf8.ValidString(m.Name):
		return fmt.Errorf("%w: name", ErrMeta)
	case len(m.Type) > MaxType || !printable(m.Type):
		return fmt.Errorf("%w: type", ErrMeta)
	case len(m.Caption) > MaxCaption || !utf8.ValidString(m.Caption):
		return fmt.Errorf("%w: caption", ErrMeta)
	case len(m.Thumbnail) > MaxThumbnail:
		return fmt.Errorf("%w: thumbnail", ErrMeta)
	}
	return nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// encodedLen is the length of m.encode().
func (m Meta) encodedLen() int {
	return metaFixed + len(m.Name) + len(m.Type) + len(m.Caption) + len(m.Thumbnail)
}

// padded is the length of the whole plaintext: frame, description, content, zeros.
func (m Meta) padded() (uint64, error) {
	if err := m.check(); err != nil {
		return 0, err
	}
	// The first test keeps the sum below from running over.
	if m.Size > MaxPadded {
		return 0, ErrTooLarge
	}
	p := paddedLen(frameSize + uint64(m.encodedLen()) + m.Size)
	if p > MaxPadded {
		return 0, ErrTooLarge
	}
	return p, nil
}

func (m Meta) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, m.encodedLen()))
	b.AddUint64(m.Size)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.Name)) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.Type)) })
	b.AddUint32LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.Caption)) })
	b.AddUint32LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.Thumbnail) })
	return b.BytesOrPanic()
}

// parseMeta reads an encoded description. It keeps nothing of b.
func parseMeta(b []byte) (Meta, error) {
	s := cryptobyte.String(b)
	var m Meta
	var name, media, caption, thumbnail cryptobyte.String
	if len(b) > maxMeta ||
		!s.ReadUint64(&m.Size) ||
		!s.ReadUint16LengthPrefixed(&name) ||
		!s.ReadUint16LengthPrefixed(&media) ||
		!readVector32(&s, &caption) ||
		!readVector32(&s, &thumbnail) ||
		!s.Empty() {
		return Meta{}, ErrOpen
	}
	m.Name, m.Type, m.Caption = string(name), string(media), string(caption)
	if len(thumbnail) > 0 {
		m.Thumbnail = append([]byte(nil), thumbnail...)
	}
	if m.Validate() != nil {
		return Meta{}, ErrOpen
	}
	return m, nil
}

// readVector32 reads a vector with a 4-byte length; cryptobyte reads up to 3.
func readVector32(s, out *cryptobyte.String) bool {
	var n uint32
	return s.ReadUint32(&n) && uint64(n) <= uint64(len(*s)) && s.ReadBytes((*[]byte)(out), int(n))
}
