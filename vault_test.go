package reseal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// copyFolder copies an installation's folder as a thief, a backup or a crash
// has it.
func copyFolder(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // of the moment
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// one is the one file of a folder whose name begins like this.
func one(t testing.TB, dir, prefix string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil || len(all) != 1 {
		t.Fatalf("files %s*: %v, %v", prefix, all, err)
	}
	return all[0]
}

// resting is a folder with ben logged in and not running, and a kept message
// that his device has the key of. Who sends it may be another than ana.
func resting(t testing.TB, w *world, from ...string) (dir string, id reseal.MessageID, device [16]byte) {
	t.Helper()
	_, ana := w.signUp(append(from, "ana")[0])
	dir = t.TempDir()
	in := w.install(dir)
	ben, _, err := in.SignUp(ctx(t), "ben", []byte(secret+"ben"))
	if err != nil {
		t.Fatal(err)
	}
	sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, Text: "kept safe", Policy: reseal.Keep})
	if err != nil {
		t.Fatal(err)
	}
	awaitState(t, ben, sent[0].Message, client.IsReady)
	settled(t, ben)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, sent[0].Message, ben.Device()
}

// resumed opens a folder and its one account, and reads the message there.
func resumed(t testing.TB, w *world, dir string, id reseal.MessageID, device [16]byte) {
	t.Helper()
	in := w.install(dir)
	defer in.Close()
	all, err := in.Resume(ctx(t))
	if err != nil || len(all) != 1 {
		t.Fatalf("resume: %v, %v", all, err)
	}
	if all[0].Device() != device {
		t.Error("another device")
	}
	if _, body := open(t, all[0], id); string(body) != "kept safe" {
		t.Errorf("got %q", body)
	}
}

// damage is one way to open a damaged folder: it must fail in one of the named
// ways, or show what was there before.
func damage(t *testing.T, w *world, dir, file, what string, id reseal.MessageID, device [16]byte) {
	t.Helper()
	in, err := reseal.Open(dir, reseal.Options{Server: w.url, Now: w.now})
	if err != nil {
		if !errors.Is(err, reseal.ErrDamaged) && !errors.Is(err, reseal.ErrNewer) || !strings.Contains(err.Error(), file) {
			t.Errorf("open: %v", err)
		}
		return
	}
	defer in.Close()
	all, err := in.Resume(ctx(t))
	if err != nil {
		if !errors.Is(err, reseal.ErrDamaged) && !errors.Is(err, reseal.ErrNewer) && !errors.Is(err, reseal.ErrSessionRecord) && !errors.Is(err, reseal.ErrSessionEnded) &&
			!errors.Is(err, reseal.ErrOffline) && !errors.Is(err, reseal.ErrNotReseal) && !errors.Is(err, reseal.ErrOtherServer) {
			t.Errorf("resume: %v", err)
		}
		return
	}
	// Nobody complains: then everything is there.
	if len(all) != 1 || all[0].Device() != device {
		t.Errorf("%s: opens without an error as %v", what, all)
		return
	}
	if m, err := all[0].Find(ctx(t), id.String()); err != nil || m.State != reseal.StateReady {
		t.Errorf("%s: the message is lost without an error: %q %v", what, m.State, err)
		return
	}
	if _, body := open(t, all[0], id); string(body) != "kept safe" {
		t.Errorf("%s: got %q", what, body)
	}
}

func TestDamagedFilesOfAnInstallation(t *testing.T) {
	w := newWorld(t)
	dir, id, device := resting(t, w)
	for _, file := range []string{"vault", "session-", "journal-"} {
		path := one(t, dir, file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write := func(b []byte) {
			t.Helper()
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(file, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			at := []int{0, 1, 8, 9, 10, 11, 12, 16, 20, 31, 32, 40, 47, 63, 64, 65, 79, 96, 127, 128, 160, len(good) - 1, len(good) - 17}
			for range 40 {
				at = append(at, r.IntN(len(good)))
			}
			for _, i := range at {
				if i >= len(good) {
					continue
				}
				bad := bytes.Clone(good)
				bad[i] ^= 1 << r.IntN(8)
				write(bad)
				damage(t, w, dir, file, fmt.Sprintf("byte %d of %d", i, len(good)), id, device)
			}
			for _, n := range []int{0, 1, 7, 33, len(good) / 2, len(good) - 1} {
				write(good[:n])
				damage(t, w, dir, file, fmt.Sprintf("%d of %d bytes", n, len(good)), id, device)
			}
			write(append(bytes.Clone(good), 0))
			damage(t, w, dir, file, "a byte more", id, device)
			write(good)
			resumed(t, w, copyFolder(t, dir), id, device) // nothing was lost meanwhile
		})
		write(good)
	}
}

func TestVaultOfAnotherInstallation(t *testing.T) {
	w := newWorld(t)
	dir, id, device := resting(t, w)
	other := w.install(t.TempDir())
	if _, _, err := other.SignUp(ctx(t), "eve", []byte(secret+"eve")); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	path := one(t, dir, "vault")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(one(t, other.Dir(), "vault"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, theirs, 0o600); err != nil {
		t.Fatal(err)
	}
	in := w.install(dir)
	var e *reseal.AccountError
	if _, err := in.Resume(ctx(t)); !errors.Is(err, reseal.ErrSessionRecord) || !errors.As(err, &e) || e.Handle != "ben" {
		t.Errorf("resume: %v", err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	resumed(t, w, dir, id, device)
}

// A damaged section is set aside at the login, and kept: what was in it opens
// again when the file is put back.
func TestLoginOverADamagedSection(t *testing.T) {
	w := newWorld(t)
	dir, id, device := resting(t, w)
	in := w.install(dir)
	all, err := in.Resume(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all[0].LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	safe := copyFolder(t, dir)
	path := one(t, dir, "vault")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Every body, and no head, whichever slot is the account's.
	slot := (len(b) - 32) / 16
	for i := range b {
		if at := i - 32; at < 0 || at%slot < 128 || at%64 != 0 {
			continue
		}
		b[i] ^= 1
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	in = w.install(dir)
	ben, how, err := in.LogIn(ctx(t), "ben", []byte(secret+"ben"))
	switch {
	case errors.Is(err, reseal.ErrDamaged):
		t.Logf("login: %v", err)
	case err != nil:
		t.Fatalf("login: %v", err)
	case !how.NewDevice || !how.SetAside || ben.Device() == device:
		t.Errorf("login: %+v", how)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	// The copy is the device that it was.
	in = w.install(safe)
	ben, how = w.logIn(in, "ben")
	if how.NewDevice || ben.Device() != device {
		t.Errorf("the copy: %+v", how)
	}
	if _, body := open(t, ben, id); string(body) != "kept safe" {
		t.Errorf("got %q", body)
	}
}

func TestDamagedSessionRecordLosesNothing(t *testing.T) {
	w := newWorld(t)
	dir, id, device := resting(t, w)
	path := one(t, dir, "session-")
	if err := os.WriteFile(path, []byte("not a session"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := w.install(dir)
	if _, err := in.Resume(ctx(t)); !errors.Is(err, reseal.ErrDamaged) || !strings.Contains(err.Error(), filepath.Base(path)) {
		t.Fatalf("resume: %v", err)
	}
	ben, how := w.logIn(in, "ben")
	if how.NewDevice || ben.Device() != device {
		t.Errorf("login: %+v", how)
	}
	if _, body := open(t, ben, id); string(body) != "kept safe" {
		t.Errorf("got %q", body)
	}
	if all, err := in.LoggedIn(); err != nil || len(all) != 1 {
		t.Errorf("logged in: %v, %v", all, err)
	}
}

func TestOneProcessOwnsAFolder(t *testing.T) {
	w := newWorld(t)
	in, _ := w.signUp("ana")
	if _, err := reseal.Open(in.Dir(), reseal.Options{Server: w.url}); !errors.Is(err, reseal.ErrBusy) {
		t.Errorf("second owner: %v", err)
	}
}

// A copy of the folder, made while ben was logged out, is of no use once the
// original has logged in again: it makes a device of its own, and the original
// is what it was.
func TestClonedFolderOfALoggedOutDevice(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	phone, ben := w.signUp("ben")
	device := ben.Device()
	if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	clone := copyFolder(t, phone.Dir())
	ben, _ = w.logIn(phone, "ben")
	before, file := w.shares(t, ben), sealed(t, clone)
	thief := w.install(clone)
	copied, how := w.logIn(thief, "ben")
	if !how.NewDevice || !how.SetAside || copied.Device() == device {
		t.Errorf("the clone: %+v", how)
	}
	after := w.shares(t, ben)
	for row, sealed := range before {
		if after[row] != sealed {
			t.Error("the clone changed the original's share")
		}
	}
	if len(after) != len(before)+1 {
		t.Errorf("%d shares at the server, then %d", len(before), len(after))
	}
	id := text(t, ana, "for the original", "ben")
	if _, body := open(t, ben, id); string(body) != "for the original" {
		t.Errorf("got %q", body)
	}
	if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if ben, how = w.logIn(phone, "ben"); how.NewDevice || ben.Device() != device {
		t.Errorf("the original: %+v", how)
	}
	// The section that was set aside is still in the clone's file, byte for byte.
	now := sealed(t, clone)
	for nonce, was := range file {
		if now[nonce] != was {
			t.Error("the clone overwrote a section")
		}
	}
	if _, err := copied.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if again, how := w.logIn(thief, "ben"); how.NewDevice || again.Device() != copied.Device() {
		t.Errorf("the clone's own device: %+v", how)
	}
}

// A copy made while ben was logged in opens nothing once that session ended,
// by logout or from another device.
func TestClonedFolderOfALoggedInDevice(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	phone, ben := w.signUp("ben")
	id := text(t, ana, "secret", "ben")
	awaitState(t, ben, id, client.IsReady)
	clone := copyFolder(t, phone.Dir())
	if _, err := ben.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	thief := w.install(clone)
	if all, err := thief.Resume(ctx(t)); !errors.Is(err, reseal.ErrSessionEnded) || len(all) != 0 {
		t.Fatalf("the clone resumes: %v, %v", all, err)
	}
	if all, err := thief.LoggedIn(); err != nil || len(all) != 0 {
		t.Errorf("the clone is logged in: %v, %v", all, err)
	}
	ben, _ = w.logIn(phone, "ben")
	if _, body := open(t, ben, id); string(body) != "secret" {
		t.Errorf("got %q", body)
	}
}

// shares are the sealed shares of an account at the server.
func (w *world) shares(t testing.TB, a *reseal.Account) map[store.Key]string {
	t.Helper()
	from := store.Key(records.SharesAll)
	all, err := w.store.Range(ctx(t), records.AccountPartition(a.ID()), from, store.PrefixEnd(from), 100, false)
	if err != nil {
		t.Fatal(err)
	}
	found := map[store.Key]string{}
	for _, r := range all {
		found[r.Key] = string(r.Value)
	}
	return found
}
