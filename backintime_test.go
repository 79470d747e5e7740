package reseal_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/store/pebble"
)

// A server that was put back from a copy: what its clients know of each other
// does not fall, what was viewed does not come back, what they hold still opens,
// and everybody goes on, also with a device that this server has never seen.
func TestServerGoneBackInTime(t *testing.T) {
	dir := t.TempDir()
	openStore := func(data string) *pebble.Store {
		st, err := pebble.Open(filepath.Join(data, "store"), server.Schema(), pebble.Options{MinFree: 1})
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	data, copied := filepath.Join(dir, "data"), filepath.Join(dir, "copy")
	running := openStore(data)
	w := newWorldWith(t, func(c *server.Config) {
		c.Store, c.BlobFolder = running, filepath.Join(data, "blobs")
	})
	t.Cleanup(func() { w.down(); _ = running.Close() })
	_, ana := w.signUp("ana")
	_, ben := w.signUp("ben")
	held := text(t, ana, "held", "ben")
	viewed := text(t, ana, "viewed", "ben")
	awaitState(t, ben, held, client.IsReady)
	awaitState(t, ben, viewed, client.IsReady)

	if err := w.server.Backup(ctx(t), copied); err != nil {
		t.Fatal(err)
	}

	// What the copy does not know: a view, a device, messages, and that ana was
	// verified.
	verify(t, ben, "ana")
	open(t, ben, viewed)
	awaitState(t, ben, viewed, client.IsViewed)
	second, _ := w.logIn(w.phone(), "ben")
	kept := keep(t, ana, "kept", "ben")
	awaitState(t, ben, kept, client.IsReady)
	late := text(t, ana, "late", "ben")
	awaitState(t, ben, late, client.IsReady)
	awaitState(t, second, late, client.IsReady)
	file := bytes.Repeat([]byte("a photo of some size "), 10_000)
	sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, File: bytes.NewReader(file), Name: "photo", Size: int64(len(file)), Policy: reseal.Keep})
	if err != nil {
		t.Fatal(err)
	}
	photo := sent[0].Message
	awaitState(t, ben, photo, client.IsReady)
	know := func() reseal.Contact {
		t.Helper()
		c, err := ana.Contact(ctx(t), "ben")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := ana.RefreshContacts(ctx(t)); err != nil {
		t.Fatal(err)
	}
	before := know()
	if before.Devices != 2 {
		t.Fatalf("ana knows %d devices of ben", before.Devices)
	}

	w.down()
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	data = copied
	running = openStore(data)
	w.up()

	if err := ana.RefreshContacts(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if after := know(); after.Devices != 2 || after.SafetyNumber != before.SafetyNumber || after.State != before.State {
		t.Errorf("ana's pin of ben fell: %+v, before %+v", after, before)
	}
	// Both ways a message goes through, which also says that they have been in sync.
	next := text(t, ana, "and on", "ben")
	awaitState(t, ben, next, client.IsReady)
	answer := text(t, ben, "back", "ana")
	if _, got := open(t, ana, answer); string(got) != "back" {
		t.Errorf("ana got %q", got)
	}
	if s := state(t, ben, viewed); s != client.IsViewed {
		t.Errorf("what was viewed is %q", s)
	}
	for id, want := range map[reseal.MessageID]string{held: "held", kept: "kept", next: "and on"} {
		if _, got := open(t, ben, id); string(got) != want {
			t.Errorf("ben got %q, not %q", got, want)
		}
	}
	// What the server has forgotten is offered again by who sent it: its view is
	// granted, and a device that comes new finds it, but nothing that was viewed.
	if _, got := open(t, ben, late); string(got) != "late" {
		t.Errorf("ben got %q", got)
	}
	// The list that ben's device has put back names a newer book than the server
	// has: until that is there again, nobody new comes in.
	var third *reseal.Account
	await(t, "the book that the list names is at the server again", func() bool {
		var err error
		third, _, err = w.phone().LogIn(ctx(t), "ben", []byte(secret+"ben"))
		if err != nil && !errors.Is(err, reseal.ErrServer) {
			t.Fatal(err)
		}
		return err == nil
	})
	for _, id := range []reseal.MessageID{kept, photo} {
		awaitState(t, third, id, client.IsReady)
	}
	if _, got := open(t, third, photo); !bytes.Equal(got, file) {
		t.Errorf("the photo is %d bytes", len(got))
	}
	for _, id := range []reseal.MessageID{viewed, late} {
		if s := state(t, third, id); s == client.IsReady || s == client.Waiting {
			t.Errorf("what was viewed is %q on a new device", s)
		}
	}
	await(t, "the book is at the server again", func() bool {
		all, err := third.Contacts()
		return err == nil && len(all) == 1 && all[0].Verified
	})
	if l, err := ana.Contact(ctx(t), "ben"); err != nil || l.State == "alarm" {
		t.Errorf("a new device of ben is an alarm: %+v, %v", l, err)
	}
	if n := ana.Counters().Reoffered; n != 3 {
		t.Errorf("%d messages were offered again", n)
	}
	inbox, err := ben.Inbox(ctx(t), reseal.InboxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range inbox {
		if m.ID == viewed {
			t.Errorf("what was viewed lies in the inbox: %+v", m)
		}
	}
}
