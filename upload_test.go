package reseal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/reseal/reseal"
)

// What this device cannot read just now is not refused for good: the message
// waits, and goes when it can be read.
func TestAnUploadThatFailsHereWaits(t *testing.T) {
	w := newWorld(t)
	_, bob := w.signUp("bob")
	dir := t.TempDir()
	in := w.install(dir)
	ana, _, err := in.SignUp(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil {
		t.Fatal(err)
	}
	text(t, ana, "hello", "bob") // a contact from now on
	w.down()
	await(t, "ana is offline", func() bool { return !ana.Connected() })
	body := bytes.Repeat([]byte("content "), 8<<10)
	if _, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"bob"}, File: bytes.NewReader(body), Size: int64(len(body)), Queue: true}); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	lists, err := filepath.Glob(filepath.Join(dir, "files", "*.segments"))
	if err != nil || len(lists) != 1 {
		t.Fatal(lists, err)
	}
	list := lists[0]
	kept := list + "-kept"
	if err := errors.Join(os.Rename(list, kept), os.Mkdir(list, 0o700)); err != nil {
		t.Fatal(err)
	}
	w.up()
	all, err := w.install(dir).Resume(ctx(t))
	if err != nil || len(all) != 1 {
		t.Fatal(err)
	}
	trouble, refused := watch(t, all[0], reseal.KindTrouble), watch(t, all[0], reseal.KindNotSent)
	await(t, "word of the upload", func() bool { return len(trouble()) > 0 })
	if err := errors.Join(os.Remove(list), os.Rename(kept, list)); err != nil {
		t.Fatal(err)
	}
	await(t, "the message", func() bool {
		got, err := bob.Inbox(ctx(t), reseal.InboxOptions{})
		return err == nil && len(got) == 2
	})
	if len(refused()) != 0 {
		t.Fatal("it was refused")
	}
}
