package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/internal/safename"
)

// maxMarked is how many names are tried to find a file again.
const maxMarked = 1000

// half is the name of this command's file in a folder until it has its own: the
// same whenever the command is run again.
func (d *delivery) half(end string) string {
	sum := sha256.Sum256(append([]byte("reseal open"), d.c.attempt.key[:]...))
	return filepath.Join(d.folder, ".reseal-"+hex.EncodeToString(sum[:8])+end)
}

// marked tells whether a file of this name is the one that an earlier run of
// this command finished: it has the mark as its second name.
func (d *delivery) marked(name string) bool {
	mark, err := os.Lstat(d.half(".done"))
	if err != nil {
		return false
	}
	file, err := os.Lstat(filepath.Join(d.folder, name))
	return err == nil && file.Mode().IsRegular() && os.SameFile(mark, file)
}

// finished finds the file that an earlier run finished, by the names that it may
// have got.
func (d *delivery) finished(ct reseal.Content) (name string, found bool) {
	if !d.c.attempt.again {
		return "", false
	}
	if d.name != "" {
		return d.name, d.marked(d.name)
	}
	for n := 1; n <= maxMarked; n++ {
		name := safename.Next(d.safeName(ct), n)
		if d.marked(name) {
			return name, true
		}
		if _, err := os.Lstat(filepath.Join(d.folder, name)); err != nil {
			return "", false
		}
	}
	return "", false
}

// safeName is the name for a content whose reader wants none in particular.
func (d *delivery) safeName(ct reseal.Content) string {
	return safename.Name(ct.Name, "message-"+short(ct.Message.ID)+extension(ct))
}

// file writes under a temporary name, and gives the file its own when all of it
// is durable. The mark stays beside it until the view is recorded, so that a
// run of this command that follows one that was killed makes no second file.
func (d *delivery) file(ct reseal.Content) error {
	d.mark = d.half(".done")
	if name, found := d.finished(ct); found {
		d.item.Path = filepath.Join(d.folder, name)
		_, err := io.Copy(io.Discard, ct.Reader)
		return err
	}
	d.temp = d.half(".part")
	if d.c.attempt.again { // what the run before has left
		_ = os.Remove(d.mark)
		_ = os.Remove(d.temp)
	}
	f, err := os.OpenFile(d.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		d.temp = ""
		return err
	}
	var n uint64
	_, err = io.Copy(f, readFunc(func(b []byte) (int, error) {
		k, err := ct.Reader.Read(b)
		n += uint64(k)
		d.bars.Report("write", n, ct.Size)
		return k, err
	}))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// A file system without links has no mark; then the second run's file gets
	// the next free name.
	_ = os.Link(d.temp, d.mark)
	if err := d.place(ct); err != nil {
		return err
	}
	d.temp = ""
	return nil
}
