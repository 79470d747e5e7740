package reseal_test

import (
	"errors"
	"testing"
	"testing/iotest"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
)

// TestSendAgain: what is repeated under one key, after a crash, is one message
// to each, and does not need its content a second time.
func TestSendAgain(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	in := w.install(dir)
	ana, _, err := in.SignUp(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil {
		t.Fatal(err)
	}
	_, ben := w.signUp("ben")
	_, carla := w.signUp("carla")
	settled(t, ana)
	text(t, ana, "first", "ben") // so that he is known without a server
	w.down()
	await(t, "she notices", func() bool { return !ana.Connected() })
	key := reseal.SendKey{7}
	lost := reseal.Outgoing{To: []string{"ben"}, File: iotest.ErrReader(errors.New("read twice")), Size: 5, Policy: reseal.Keep, Key: key}
	queued, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, Text: "hello", Policy: reseal.Keep, Key: key, Queue: true})
	if err != nil || !queued[0].Queued {
		t.Fatal(queued, err)
	}
	if err := in.Close(); err != nil { // nothing was answered
		t.Fatal(err)
	}
	w.up()
	in = w.install(dir)
	all, err := in.Resume(ctx(t))
	if err != nil || len(all) != 1 {
		t.Fatal(err)
	}
	var ids []reseal.MessageID
	for range 2 { // while it is under way, and when it is over
		again, err := all[0].Send(ctx(t), lost)
		if err != nil || len(again) != 1 || again[0].Devices != 1 || again[0].Queued {
			t.Fatalf("%+v, %v", again, err)
		}
		ids = append(ids, again[0].Message)
	}
	if ids[0] != ids[1] {
		t.Error("two messages")
	}
	// Somebody who was not among them gets it, and needs the content.
	lost.To = []string{"ben", "carla"}
	if _, err := all[0].Send(ctx(t), lost); err == nil {
		t.Error("sent without a content")
	}
	both := lost
	both.File, both.Text = nil, "hello"
	sent, err := all[0].Send(ctx(t), both)
	if err != nil || sent[0].Message != ids[0] || sent[1].Message == (reseal.MessageID{}) {
		t.Fatalf("%+v, %v", sent, err)
	}
	awaitState(t, ben, ids[0], client.IsReady)
	awaitState(t, carla, sent[1].Message, client.IsReady)
	if inbox, err := ben.Inbox(ctx(t), reseal.InboxOptions{}); err != nil || len(inbox) != 2 {
		t.Errorf("%d messages, %v", len(inbox), err)
	}
}
