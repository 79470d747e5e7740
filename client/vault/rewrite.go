package vault

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// piece is one slot of a file to be written: the old slot from, or the sealed
// body, or random bytes if there is neither.
type piece struct {
	head head
	body []byte
	from int // index in the current file, -1 for none
}

// plan is a whole file to be written.
type plan struct {
	header header
	slots  []piece
	// stale names a journal that the new file makes superfluous.
	stale string
}

// plan is the file as it is.
func (v *Vault) plan() plan {
	p := plan{header: v.header, slots: make([]piece, len(v.heads))}
	for i := range v.heads {
		p.slots[i] = piece{head: v.heads[i], from: i}
	}
	return p
}

// grow makes every slot large enough for n bytes of records.
func (p *plan) grow(n int) error {
	size, err := slotFor(n)
	p.header.size = max(p.header.size, size)
	return err
}

// errNotDurable marks an error after the new file took its name: what is on
// disk after a power loss may be either file.
var errNotDurable = errors.New("vault: folder not synced")

// rewrite puts a new file in the place of the old one. The caller holds v.mu.
// On error the old file is the state, unless the error is errNotDurable.
func (v *Vault) rewrite(p plan) error {
	const name = vaultName + newSuffix
	if err := v.writeFile(name, p); err != nil {
		// The room it took may be what the next attempt needs.
		_ = v.fs.Remove(name)
		return disk(err)
	}
	v.fs.Stamp(name)
	// Crash here: the old file counts, tidy removes the new one.
	if err := v.fs.Rename(name, vaultName); err != nil {
		_ = v.fs.Remove(name)
		return disk(err)
	}
	v.header, v.heads = p.header, make([]head, len(p.slots))
	for i := range p.slots {
		v.heads[i] = p.slots[i].head
	}
	if p.stale != "" {
		v.stale = append(v.stale, p.stale)
	}
	// Crash here: either file counts, each with its own journals, which is
	// why no journal is removed and no commit acknowledged before the sync.
	if err := v.fs.SyncDir(); err != nil {
		return fmt.Errorf("%w: %w", errNotDurable, disk(err))
	}
	for _, name := range v.stale {
		_ = v.fs.Remove(name)
	}
	v.stale = nil
	v.fs.Stamp(".")
	return nil
}

func (v *Vault) writeFile(name string, p plan) (err error) {
	f, err := v.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var old File
	if v.header.slots > 0 {
		if old, err = v.fs.OpenFile(vaultName, os.O_RDONLY); err != nil {
			return err
		}
		defer old.Close()
	}
	w := &writer{f: f}
	w.Write(p.header.encode())
	for i := range p.slots {
		if err := v.writeSlot(w, old, p.header.size, &p.slots[i]); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	return f.Sync()
}

func (v *Vault) writeSlot(w *writer, old File, size int, p *piece) error {
	w.Write(p.head[:])
	left := int64(size - headSize)
	switch {
	case p.body != nil:
		w.Write(p.body)
		left -= int64(len(p.body))
	case p.from >= 0:
		n := int64(v.header.size - headSize)
		if _, err := io.Copy(w, io.NewSectionReader(old, v.header.offset(p.from)+headSize, n)); err != nil {
			return err
		}
		left -= n
	}
	// What follows a content in a slot that grew looks like the content.
	if left > 0 {
		_, err := io.CopyN(w, v.rand, left)
		return err
	}
	return w.err
}

// writer writes at the end of a file in large pieces and keeps the first error.
type writer struct {
	f   File
	off int64
	buf []byte
	err error
}

func (w *writer) Write(b []byte) (int, error) {
	w.buf = append(w.buf, b...)
	if len(w.buf) >= 1<<18 {
		w.flush()
	}
	return len(b), w.err
}

func (w *writer) flush() error {
	if w.err == nil {
		_, w.err = w.f.WriteAt(w.buf, w.off)
	}
	w.off += int64(len(w.buf))
	w.buf = w.buf[:0]
	return w.err
}

// decoy is a head that looks like any other.
func (v *Vault) decoy() (h head, err error) {
	var b [headSize]byte
	if _, err = io.ReadFull(v.rand, b[:]); err != nil {
		return h, err
	}
	return makeHead(nonce(b[:32]), fileTag(b[32:64]), shareMark(b[64:80]), localShare(b[80:112])), nil
}

// below returns a uniform number in [0, n), n at most 2^16, by rejection.
func (v *Vault) below(n int) (int, error) {
	for limit := (1 << 32) / n * n; ; {
		var b [4]byte
		if _, err := io.ReadFull(v.rand, b[:]); err != nil {
			return 0, err
		}
		x := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if x < limit {
			return x % n, nil
		}
	}
}
