package reseal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pebbledb "github.com/cockroachdb/pebble/v2"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/pebble"
)

// values are all values of the account's own records, by key, as far as they
// are long enough to be told from others.
func values(t *testing.T, s store.Store, a *reseal.Account, day uint32) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, p := range []store.Partition{records.AccountPartition(a.ID()), records.DayPartition(a.ID(), day)} {
		for rec, err := range store.Scan(context.Background(), s, p, "", "", false) {
			if err != nil {
				t.Fatal(err)
			}
			if len(rec.Value) >= 32 {
				all[string(p[:1])+" "+string(rec.Key)] = rec.Value
			}
		}
	}
	return all
}

// raw are all files of a folder, one after the other.
func raw(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// holding are the files in which what is.
func holding(t *testing.T, dir, what string) (names []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), what) {
			names = append(names, fmt.Sprintf("%s (%d of %d bytes)", d.Name(), strings.Index(string(b), what), len(b)))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// compact brings a database to what it would be after a long time.
func compact(t *testing.T, dir string) {
	t.Helper()
	var found string
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "MANIFEST-") {
			found = filepath.Dir(path)
		}
		return err
	}); err != nil || found == "" {
		t.Fatalf("no database: %v", err)
	}
	db, err := pebbledb.Open(found, &pebbledb.Options{Logger: silent{}, FormatMajorVersion: pebbledb.FormatNewest})
	if err != nil {
		t.Fatal(err)
	}
	// A table that overlaps with no other is moved to the lowest level as it is, with
	// the marks of what was deleted; one over all keys has all of them written anew.
	first, last := []byte{0}, bytes.Repeat([]byte{0xff}, 299)
	if err := errors.Join(db.Set(first, nil, pebbledb.Sync), db.Set(last, nil, pebbledb.Sync)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Flush(), db.Compact(context.Background(), []byte{0}, bytes.Repeat([]byte{0xff}, 300), false), db.Close()); err != nil {
		t.Fatal(err)
	}
	// A reopened database drops the files and logs that it needs no more.
	db, err = pebbledb.Open(found, &pebbledb.Options{Logger: silent{}, FormatMajorVersion: pebbledb.FormatNewest})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) { panic("pebble: fatal") }

func TestCloseAccount(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	w.down()
	disk, err := pebble.Open(dir, server.Schema(), pebble.Options{Clock: w.now, SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	w.store = disk
	w.up()
	phone, ana := w.signUp("ana")
	laptopIn := w.phone()
	_, _ = w.logIn(laptopIn, "ana")
	_, ben := w.signUp("ben")
	awaitState(t, ben, text(t, ana, "bye", "ben"), client.IsReady)
	file := bytes.Repeat([]byte("a photo of some size "), 10_000)
	if _, err := ben.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, File: bytes.NewReader(file), Name: "a", Size: int64(len(file))}); err != nil {
		t.Fatal(err)
	}
	text(t, ben, "are you there?", "ana")
	if err := ben.Settle(ctx(t)); err != nil {
		t.Fatal(err)
	}
	blobs := func() int {
		n := 0
		_ = filepath.WalkDir(w.blobs, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil && info.Size() > 1000 {
					n++
				}
			}
			return nil
		})
		return n
	}
	if blobs() == 0 {
		t.Fatal("no blob: the test sees nothing")
	}
	had := values(t, disk, ana, uint32(w.now().Unix()/86400))
	before := raw(t, dir)
	for _, k := range []string{"A pw", "A list"} {
		if v := had[k]; len(v) == 0 || !bytes.Contains(before, v[40:72]) {
			t.Fatalf("%s is not in the files: the test sees nothing", k)
		}
	}
	// Its partitions are found by its id; what waits for it is mail of others.
	var partitions []string
	for _, p := range []store.Partition{records.AccountPartition(ana.ID()), records.DayPartition(ana.ID(), uint32(w.now().Unix()/86400))} {
		partitions = append(partitions, strings.ReplaceAll(string(p), "\x00", "\x00\xff")) // as they stand in keys
	}
	mail := 0
	for _, p := range partitions {
		if !strings.Contains(string(before), p) {
			t.Fatalf("partition %q is not in the files: the test sees nothing", p[:1])
		}
	}
	for k, v := range had {
		if strings.HasPrefix(k, "T "+string(records.Messages)) {
			if mail++; !bytes.Contains(before, v) {
				t.Fatalf("%q is not in the files: the test sees nothing", k)
			}
		}
	}
	if mail != 2 {
		t.Fatalf("%d messages wait for the account", mail)
	}

	if err := ana.CloseAccount(ctx(t), []byte("wrong horse battery")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("by a wrong password: %v", err)
	}
	closed := watch(t, ben, reseal.KindClosed)
	time.Sleep(3 * time.Second) // a client tells the server every two whom it watches
	if err := ana.CloseAccount(ctx(t), []byte(secret+"ana")); err != nil {
		t.Fatal(err)
	}
	await(t, "ben sees it", func() bool { all := closed(); return len(all) == 1 && all[0].Handle == "ana" })
	if c, err := ben.Contact(ctx(t), "ana"); err != nil || c.State != "closed" {
		t.Errorf("%+v, %v", c, err)
	}
	await(t, "the laptop is out", func() bool { _, open := laptopIn.Account("ana"); return !open })
	if all, err := phone.LoggedIn(); err != nil || len(all) != 0 {
		t.Errorf("still logged in: %v, %v", all, err)
	}
	if _, _, err := phone.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, reseal.ErrLogin) {
		t.Errorf("log in afterwards: %v", err)
	}
	if _, _, err := phone.SignUp(ctx(t), "ana", []byte(other)); !errors.Is(err, reseal.ErrHandleTaken) {
		t.Errorf("the handle is given away at once: %v", err)
	}
	await(t, "the blob has gone", func() bool { return blobs() == 0 })

	// A minute later nothing is left, in no file.
	w.offset.Add(int64(time.Minute))
	if _, err := disk.Sweep(ctx(t)); err != nil {
		t.Fatal(err)
	}
	for k := range values(t, disk, ana, uint32(w.now().Unix()/86400)) {
		t.Errorf("record %q is left", k)
	}
	w.down()
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	compact(t, dir)
	after := raw(t, dir)
	for k, v := range had {
		if (k[0] == 'A' && len(v) >= 72 && bytes.Contains(after, v[40:72])) || bytes.Contains(after, v) {
			t.Errorf("record %q is in the files still", k)
		}
	}
	for _, p := range partitions {
		if strings.Contains(string(after), p) {
			t.Errorf("partition %q is in the files still: %v", p[:1], holding(t, dir, p))
		}
	}
}

// The handle of a closed account can be had again after 30 days, by an account
// that contacts tell from the old one.
func TestHandleIsHeldBack(t *testing.T) {
	w := newWorld(t)
	phone, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	awaitState(t, ben, text(t, ana, "bye", "ben"), client.IsReady)
	if err := ben.Accept(ctx(t), "ana"); err != nil { // strangers are in no book
		t.Fatal(err)
	}
	old := ana.ID()
	benIn := w.phone()
	away, _ := w.logIn(benIn, "ben")
	await(t, "the book", func() bool { all, err := away.Contacts(); return err == nil && len(all) == 1 })
	leave(t, away)
	if err := ana.CloseAccount(ctx(t), []byte(secret+"ana")); err != nil {
		t.Fatal(err)
	}
	// Who was away sees it when they write.
	away = returns(t, benIn, "ben", secret+"ben", away.Device())
	var unknown *reseal.UnknownAccountError
	if _, err := away.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "are you there?"}); !errors.As(err, &unknown) {
		t.Errorf("a send to a closed account: %v", err)
	}
	await(t, "who was away sees it", func() bool {
		c, err := away.Contact(ctx(t), "ana")
		return err == nil && c.State == "closed"
	})
	w.offset.Add(int64(29 * 24 * time.Hour))
	if _, _, err := phone.SignUp(ctx(t), "ana", []byte(other)); !errors.Is(err, reseal.ErrHandleTaken) {
		t.Errorf("after 29 days: %v", err)
	}
	w.offset.Add(int64(2 * 24 * time.Hour))
	a, _, err := phone.SignUp(ctx(t), "ana", []byte(other))
	if err != nil || a.ID() == old {
		t.Errorf("after 31 days: %v", err)
	}
}

// A contact that was away when the account was closed sees it when it looks.
func TestCloseSeenLater(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	_, carla := w.signUp("carla")
	phone, ben := w.signUp("ben")
	for _, a := range []*reseal.Account{ana, carla} {
		open(t, ben, text(t, a, "hello", "ben"))
	}
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ana.CloseAccount(ctx(t), []byte(secret+"ana")); err != nil {
		t.Fatal(err)
	}
	all, err := w.install(phone.Dir()).Resume(ctx(t))
	if err != nil || len(all) != 1 {
		t.Fatalf("resume: %v", err)
	}
	ben = all[0]
	closed := watch(t, ben, reseal.KindClosed)
	if err := ben.RefreshContacts(ctx(t)); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	contacts, err := ben.Contacts()
	for _, c := range contacts {
		states[c.Handle] = c.State
	}
	if err != nil || states["ana"] != "closed" || states["carla"] != "known" && states["carla"] != "stranger" {
		t.Errorf("%v, %v", states, err)
	}
	await(t, "it is told once", func() bool { return len(closed()) == 1 && closed()[0].Handle == "ana" })
}
