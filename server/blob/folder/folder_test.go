package folder_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/reseal/reseal/server/blob"
	"github.com/reseal/reseal/server/blob/folder"
)

var object = blob.Object{0xab, 0xcd, 1}

func open(t *testing.T, root string) *folder.Folder {
	t.Helper()
	f, err := folder.Open(root, folder.Options{Floor: -1})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func put(f *folder.Folder, p blob.Piece, b []byte) error {
	return f.Put(object, p, int64(len(b)), sha256.Sum256(b), bytes.NewReader(b))
}

func files(t *testing.T, root string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			out = append(out, path)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFolderOnDisk(t *testing.T) {
	root := filepath.Join(t.TempDir(), "blobs")
	f := open(t, root)
	a, list := []byte("part zero"), []byte("list")
	if err := put(f, 0, a); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("put before create: %v", err)
	}
	for range 2 { // both may be repeated
		if err := errors.Join(f.Create(object), put(f, 0, a), put(f, blob.SegmentList, list)); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(f, 0, []byte("part ZERO")); !errors.Is(err, blob.ErrConflict) {
		t.Fatalf("other bytes: %v", err)
	}
	if err := f.Put(object, 1, 5, sha256.Sum256(a), bytes.NewReader(a)); !errors.Is(err, blob.ErrHash) {
		t.Fatalf("hash of a longer source: %v", err)
	}
	if err := f.Put(object, 1, 50, sha256.Sum256(a), bytes.NewReader(a)); !errors.Is(err, blob.ErrLength) {
		t.Fatalf("short source: %v", err)
	}
	broken := errors.New("broken")
	if err := f.Put(object, 1, 50, sha256.Sum256(a), io.MultiReader(bytes.NewReader(a), failing{broken})); !errors.Is(err, broken) {
		t.Fatalf("broken source: %v", err)
	}
	if got := files(t, root); len(got) != 2 {
		t.Fatalf("files: %v", got)
	}
	f = open(t, root) // a new process
	pieces, err := f.Pieces(object)
	if err != nil || len(pieces) != 2 || pieces[0] != int64(len(a)) || pieces[blob.SegmentList] != int64(len(list)) {
		t.Fatalf("pieces: %v, %v", pieces, err)
	}
	r, err := f.Open(object, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.(*os.File); !ok {
		t.Errorf("%T is no *os.File, so nothing is sent by the kernel", r)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, a) || r.Close() != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	for range 2 {
		if err := f.Delete(object); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Open(object, 0); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("open after delete: %v", err)
	}
	if _, err := f.Pieces(object); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("pieces after delete: %v", err)
	}
	if got := files(t, root); len(got) != 0 {
		t.Fatalf("left: %v", got)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestHalfDoneThingsGo(t *testing.T) {
	root := filepath.Join(t.TempDir(), "blobs")
	f := open(t, root)
	if err := errors.Join(f.Create(object), put(f, 0, []byte("x"))); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "objects", "abc", object.String())
	if err := os.WriteFile(filepath.Join(dir, "in-0011"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := f.Pieces(object); err != nil || len(p) != 1 {
		t.Fatalf("%v, %v", p, err)
	}
	if err := f.Sync(object); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Fatalf("left after Sync: %v", got)
	}
	if err := os.Rename(dir, filepath.Join(root, "trash", object.String())); err != nil {
		t.Fatal(err)
	}
	open(t, root)
	if got := files(t, root); len(got) != 0 {
		t.Fatalf("left in the trash: %v", got)
	}
}

// Whoever comes first with a piece decides its bytes; a delete in the middle
// leaves nothing behind.
func TestManyWriters(t *testing.T) {
	root := filepath.Join(t.TempDir(), "blobs")
	f := open(t, root)
	for range 20 {
		if err := f.Create(object); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			group.Go(func() { errs[i] = put(f, 0, bytes.Repeat([]byte{byte(i)}, 1000)) })
		}
		group.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, blob.ErrConflict) {
				t.Fatal(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d writers won", won)
		}
		for i := range errs {
			group.Go(func() { errs[i] = put(f, 1, []byte("same")) })
		}
		group.Go(func() { _ = f.Delete(object) }) // may find the folder filling up; the next one counts
		group.Wait()
		if err := f.Delete(object); err != nil {
			t.Fatal(err)
		}
		if got := files(t, root); len(got) != 0 {
			t.Fatalf("left: %v", got)
		}
	}
}

func TestFloor(t *testing.T) {
	f, err := folder.Open(filepath.Join(t.TempDir(), "b"), folder.Options{Floor: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Room(1); !errors.Is(err, blob.ErrFull) {
		t.Fatalf("beyond the floor: %v", err)
	}
	if f, err = folder.Open(t.TempDir(), folder.Options{Floor: 1}); err != nil {
		t.Fatal(err)
	}
	if err := f.Room(1); err != nil {
		t.Fatal(err)
	}
}
