package folder_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/server/blob/folder"
)

// plain is a disk that gives no file a second name.
type plain struct{ folder.FS }

// While a folder is held nothing is deleted, a copy has every whole piece and
// nothing else, and afterwards deletes go on and leave the copy alone.
func TestCopy(t *testing.T) {
	for name, disk := range map[string]folder.FS{"links": folder.Disk{}, "copies": plain{folder.Disk{}}} {
		t.Run(name, func(t *testing.T) {
			root, to := filepath.Join(t.TempDir(), "blobs"), filepath.Join(t.TempDir(), "copy")
			f, err := folder.Open(root, folder.Options{Floor: -1, FS: disk})
			if err != nil {
				t.Fatal(err)
			}
			part, list := bytes.Repeat([]byte("part"), 100_000), []byte("list")
			if err := errors.Join(f.Create(object), put(f, 0, part), put(f, blob.SegmentList, list)); err != nil {
				t.Fatal(err)
			}
			half, err := disk.Create(filepath.Join(root, "objects", object.String()[:3], object.String(), "in-0123"))
			if err != nil {
				t.Fatal(err)
			}
			defer half.Close()
			release := f.Hold()
			if err := f.Delete(object); !errors.Is(err, blob.ErrUnavailable) {
				t.Errorf("a delete while held: %v", err)
			}
			if err := f.CopyTo(context.Background(), to); err != nil {
				t.Fatal(err)
			}
			release()
			if err := f.Delete(object); err != nil {
				t.Errorf("a delete afterwards: %v", err)
			}
			if n := len(files(t, to)); n != 2 {
				t.Errorf("%d files in the copy", n)
			}
			c := open(t, to)
			for p, want := range map[blob.Piece][]byte{0: part, blob.SegmentList: list} {
				r, err := c.Open(object, p)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, want) {
					t.Errorf("piece %d of the copy: %v", p, err)
				}
			}
			ended, cancel := context.WithCancel(context.Background())
			cancel()
			if err := errors.Join(f.Create(object), f.CopyTo(ended, to+"2")); !errors.Is(err, context.Canceled) {
				t.Errorf("a copy that was given up: %v", err)
			}
		})
	}
}
