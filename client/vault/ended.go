package vault

import (
	"crypto/sha256"
	"errors"
	"io/fs"

	"golang.org/x/crypto/cryptobyte"
)

// End is why a server ended a session of this installation.
type End uint8

// The reasons of an [End].
const (
	// EndNone: no session was ended that nobody has logged in after.
	EndNone End = iota
	// EndSession: the session was ended, or has expired.
	EndSession
	// EndRemoved: its device was removed from the account.
	EndRemoved
)

const (
	endedName  = "ended"
	endedMagic = "reseal ended" // 12 bytes
	endedSize  = len(endedMagic) + 2 + 1 + 1 + 16
)

func (e End) encode() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes([]byte(endedMagic))
	b.AddUint16(version)
	b.AddUint8(uint8(e))
	b.AddUint8(0)
	sum := sha256.Sum256(b.BytesOrPanic())
	b.AddBytes(sum[:16])
	return b.BytesOrPanic()
}

// parseEnd reads the note (spec/shares.md, "Note of an ended session"). It says
// too little for its damage to be told: what cannot be read is an end.
func parseEnd(b []byte) End {
	if string(b) == string(EndRemoved.encode()) {
		return EndRemoved
	}
	return EndSession
}

// NoteEnd keeps that a server has ended a session here, for whoever asks why
// nobody is logged in; EndNone takes the note away. It names neither account nor
// server nor time: what lies in the folder once everybody is logged out must tie
// no section to what a server knows.
func (v *Vault) NoteEnd(e End) error {
	if e == EndNone {
		if err := v.fs.Remove(endedName); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return disk(err)
		}
		err := v.fs.SyncDir()
		v.fs.Stamp(".")
		return disk(err)
	}
	err := v.replace(endedName, e.encode())
	v.Stamp(endedName)
	return err
}

// Ended is what NoteEnd has kept.
func (v *Vault) Ended() End {
	b, err := readAll(v.fs, endedName, maxSession)
	if errors.Is(err, fs.ErrNotExist) {
		return EndNone
	}
	return parseEnd(b)
}
