package reseal_test

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/message"
)

// behind gives an installation whose server is the liar.
func (l *liar) behind(dir string) *reseal.Installation {
	l.world.t.Helper()
	in, err := reseal.Open(dir, reseal.Options{Server: l.url, Now: l.world.now})
	if err != nil {
		l.world.t.Fatal(err)
	}
	l.world.t.Cleanup(func() { _ = in.Close() })
	return in
}

func (l *liar) signUp(handle string) (*reseal.Installation, *reseal.Account) {
	l.world.t.Helper()
	in := l.behind(l.world.t.TempDir())
	a, _, err := in.SignUp(ctx(l.world.t), handle, []byte(secret+handle))
	if err != nil {
		l.world.t.Fatalf("sign up %s: %v", handle, err)
	}
	return in, a
}

// pendings are the messages in an answer or an event.
func pendings(m proto.Message) []*resealv1.Pending {
	switch m := m.(type) {
	case *resealv1.ReadDayResponse:
		return m.Messages
	case *resealv1.EventsResponse:
		if p := m.GetMessage(); p != nil {
			return []*resealv1.Pending{p}
		}
	}
	return nil
}

// altered applies f to every message that goes to the client.
func altered(f func(*resealv1.Pending)) lies {
	return lies{
		answered: func(_ string, _, resp proto.Message) error {
			for _, p := range pendings(resp) {
				f(p)
			}
			return nil
		},
		streamed: func(ev *resealv1.EventsResponse) []*resealv1.EventsResponse {
			for _, p := range pendings(ev) {
				f(p)
			}
			return []*resealv1.EventsResponse{ev}
		},
	}
}

func flip(b []byte, at int) {
	if len(b) > 0 {
		b[at%len(b)] ^= 1
	}
}

// A message that arrives altered shows nothing wrong: it waits, or is not
// there. When the server tells the truth again, it opens.
func TestAlteredMessageShowsNothingAndOpensLater(t *testing.T) {
	w := newWorld(t)
	home, ana := w.signUp("ana")
	badWraps := func(c client.Counters) uint64 { return c.BadWraps }
	badHeaders := func(c client.Counters) uint64 { return c.BadHeaders }
	for _, c := range []struct {
		name string
		lie  func(*resealv1.Pending)
		want error
		// counted is what shows that the lie has reached the device, if anything.
		counted func(client.Counters) uint64
	}{
		{"wrap key", func(p *resealv1.Pending) { flip(p.Wraps[0], len(p.Wraps[0])-200) }, reseal.ErrWaiting, badWraps},
		{"wrap box", func(p *resealv1.Pending) { flip(p.Wraps[0], len(p.Wraps[0])-1) }, reseal.ErrWaiting, badWraps},
		{"wrap context", func(p *resealv1.Pending) { flip(p.Wraps[0], 40) }, reseal.ErrWaiting, badWraps},
		{"wrap cut", func(p *resealv1.Pending) { p.Wraps[0] = p.Wraps[0][:100] }, reseal.ErrWaiting, badWraps},
		{"wrap gone", func(p *resealv1.Pending) { p.Wraps = nil }, reseal.ErrWaiting, nil},
		{"header sender", func(p *resealv1.Pending) { flip(p.Header, 50) }, reseal.ErrWaiting, badWraps},
		{"header cut", func(p *resealv1.Pending) { p.Header = p.Header[:20] }, reseal.ErrUnknownMessage, badHeaders},
		{"header gone", func(p *resealv1.Pending) { p.Header = nil }, reseal.ErrUnknownMessage, badHeaders},
		{"header digest", func(p *resealv1.Pending) { flip(p.Header, len(p.Header)-40) }, reseal.ErrWaiting, badWraps},
		{"inline", func(p *resealv1.Pending) { flip(p.Inline, 30) }, reseal.ErrAltered, nil},
		{"inline cut", func(p *resealv1.Pending) { p.Inline = p.Inline[:len(p.Inline)/2] }, reseal.ErrAltered, nil},
		{"segments", func(p *resealv1.Pending) { flip(p.Segments, len(p.Segments)-1) }, reseal.ErrAltered, nil},
		{"copy", func(p *resealv1.Pending) { p.Copy = true }, reseal.ErrUnknownMessage, badHeaders},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := w.liar(t)
			name := "ben-" + hexOf(c.name)
			phone, ben := l.signUp(name)
			dir := phone.Dir()
			l.tell(altered(c.lie))
			id := text(t, ana, "the truth", name)
			if err := ben.Online(ctx(t)); err != nil {
				t.Fatal(err)
			}
			// It comes over the stream, and with the next sync. Who could answer for
			// it is away, so nothing else can open it.
			if err := home.Close(); err != nil {
				t.Fatal(err)
			}
			settled(t, ben)
			switch {
			case c.counted != nil:
				await(t, "the lie is looked at", func() bool { return c.counted(ben.Counters()) > 0 })
			case c.want == reseal.ErrWaiting:
				awaitState(t, ben, id, client.Waiting)
			default:
				awaitState(t, ben, id, client.IsReady)
			}
			err := ben.Open(ctx(t), id, func(c reseal.Content) error {
				b, err := io.ReadAll(c.Reader)
				t.Errorf("shown: %q, %v", b, err)
				return errors.New("seen")
			}, nil)
			if !errors.Is(err, c.want) {
				t.Errorf("open: %v, want %v", err, c.want)
			}
			l.tell(lies{})
			if err := phone.Close(); err != nil {
				t.Fatal(err)
			}
			all, err := l.behind(dir).Resume(ctx(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, body := open(t, all[0], id); string(body) != "the truth" {
				t.Errorf("got %q", body)
			}
			home = w.install(home.Dir())
			if all, err = home.Resume(ctx(t)); err != nil {
				t.Fatal(err)
			}
			ana = all[0]
		})
	}
}

// settled waits until an account has taken what was on its way to it: a
// message to itself has come.
func settled(t testing.TB, a *reseal.Account) {
	t.Helper()
	for range 30 {
		if err := a.Online(ctx(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Devices(ctx(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Settle(ctx(t)); err != nil {
		t.Fatal(err)
	}
}

func hexOf(s string) string {
	var b bytes.Buffer
	for _, r := range s {
		if r >= 'a' && r <= 'z' {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// A newer version byte is told as such: the message waits for an update, and
// opens once the same server serves what this version reads.
func TestNewerWrapAndHeaderWaitForAnUpdate(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	l := w.liar(t)
	in, ben := l.signUp("ben")
	l.tell(altered(func(p *resealv1.Pending) { p.Wraps[0][len("reseal/1 wrap context")+1]++ }))
	id := text(t, ana, "from the future", "ben")
	awaitState(t, ben, id, client.Update)
	if err := ben.Open(ctx(t), id, nil, nil); !errors.Is(err, reseal.ErrUpdate) {
		t.Errorf("open: %v", err)
	}
	l.tell(altered(func(p *resealv1.Pending) {
		// The first one is served again where the connection is lost meanwhile.
		if h, err := message.ParseHeader(p.Header); err == nil && h.ID != id {
			p.Header[1]++
		}
	}))
	second := text(t, ana, "from farther", "ben")
	await(t, "the header of a newer version is counted", func() bool { return ben.Counters().Newer > 0 })
	if s := state(t, ben, second); s != "" {
		t.Errorf("a message of a newer version is %q", s)
	}
	// It is shown, with what is known of it.
	all, err := ben.Inbox(ctx(t), reseal.InboxOptions{})
	if err != nil || len(all) != 2 || all[1].State != reseal.StateUpdate || !all[1].Sent.IsZero() || all[1].Handle != "" {
		t.Fatalf("inbox: %+v %v", all, err)
	}
	if err := ben.Open(ctx(t), all[1].ID, nil, nil); !errors.Is(err, reseal.ErrUpdate) {
		t.Errorf("open: %v", err)
	}
	// The server tells the truth, which this version reads: both open.
	l.tell(lies{})
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := l.behind(in.Dir()).Resume(ctx(t))
	if err != nil || len(again) != 1 {
		t.Fatal(again, err)
	}
	ben = again[0]
	for _, m := range []reseal.MessageID{id, second} {
		awaitState(t, ben, m, client.IsReady)
	}
	for m, want := range map[reseal.MessageID]string{id: "from the future", second: "from farther"} {
		if _, got := open(t, ben, m); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Repeats and another order change nothing: each message comes once.
func TestRepeatedAndReorderedMessages(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	_, ana := l.signUp("ana")
	_, ben := l.signUp("ben")
	var mu sync.Mutex
	var kept []*resealv1.EventsResponse
	l.tell(lies{
		twice: func(method string) bool {
			return method == "Send" || method == "PostReceipt" || method == "AddWraps" || method == "Acknowledge"
		},
		// Every third event lets the two before it come again, after it.
		streamed: func(ev *resealv1.EventsResponse) []*resealv1.EventsResponse {
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, proto.Clone(ev).(*resealv1.EventsResponse))
			if len(kept)%2 == 1 && ev.GetCaughtUp() == nil {
				return []*resealv1.EventsResponse{ev, ev}
			}
			all := []*resealv1.EventsResponse{ev}
			for i := len(kept) - 2; i >= 0 && i > len(kept)-6; i-- {
				if kept[i].GetMessage() != nil || kept[i].GetReceipt() != nil || kept[i].GetEnd() != nil {
					all = append(all, proto.Clone(kept[i]).(*resealv1.EventsResponse))
				}
			}
			return all
		},
	})
	var ids []reseal.MessageID
	for i := range 8 {
		ids = append(ids, text(t, ana, string(rune('a'+i)), "ben"))
	}
	for i, id := range ids {
		if _, body := open(t, ben, id); string(body) != string(rune('a'+i)) {
			t.Errorf("message %d: %q", i, body)
		}
	}
	for _, id := range ids {
		awaitState(t, ana, id, client.IsViewed)
	}
	all, err := ben.Inbox(ctx(t), reseal.InboxOptions{Ended: true})
	if err != nil || len(all) != len(ids) {
		t.Errorf("%d messages of %d, %v", len(all), len(ids), err)
	}
	for _, id := range ids {
		var e *reseal.EndedError
		if err := ben.Open(ctx(t), id, nil, nil); !errors.As(err, &e) {
			t.Errorf("a second view: %v", err)
		}
	}
}
