package vault

import "io"

// RowKey is the key by which an account finds its section (K_row), 32 bytes.
type RowKey [32]byte

// RowID names a section's share at the server, 32 bytes.
type RowID [32]byte

// ShareID is the random id of a server share, 16 bytes.
type ShareID [16]byte

// Share is a server share, opened.
type Share struct {
	ID    ShareID
	Value [32]byte
}

// NewShare draws a share.
func NewShare(rand io.Reader) (s Share, err error) {
	if _, err = io.ReadFull(rand, s.ID[:]); err == nil {
		_, err = io.ReadFull(rand, s.Value[:])
	}
	return s, err
}

func rowKeyBytes(k *RowKey) []byte                { return k[:] }
func shareIDBytes(s *Share) [16]byte              { return s.ID }
func shareValueBytes(s *Share) [32]byte           { return s.Value }
func makeShare(id [16]byte, value [32]byte) Share { return Share{ShareID(id), value} }
