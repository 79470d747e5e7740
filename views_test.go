package reseal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

// A once message is claimed by a device that dies before it has shown it: the
// other device gets it when the claim has lapsed.
func TestOnceClaimedByADeviceThatDies(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	tablets, tablet := w.signUp("ben")
	phone, _ := w.logIn(w.phone(), "ben")
	await(t, "ana knows both", func() bool {
		c, err := ana.Contact(ctx(t), "ben")
		return err == nil && c.Devices == 2
	})
	id := text(t, ana, "once", "ben")
	awaitState(t, tablet, id, client.IsReady)
	awaitState(t, phone, id, client.IsReady)
	showing, dead := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := tablet.Open(ctx(t), id, func(reseal.Content) error {
			close(showing)
			<-dead
			return errors.New("the battery is empty")
		}, nil)
		if err == nil {
			t.Error("the view of a dead device counts")
		}
	})
	<-showing
	if err := phone.Open(ctx(t), id, nil, nil); !errors.Is(err, reseal.ErrClaimed) {
		t.Errorf("open while the other shows it: %v", err)
	}
	if err := tablets.Close(); err != nil {
		t.Fatal(err)
	}
	close(dead)
	wg.Wait()
	w.offset.Add(int64(3 * time.Minute))
	if _, body := open(t, phone, id); string(body) != "once" {
		t.Errorf("got %q", body)
	}
	awaitState(t, ana, id, client.IsViewed)
	all, err := w.install(tablets.Dir()).Resume(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	awaitState(t, all[0], id, client.IsViewed)
}

func TestKeepIsReadByADeviceThatJoinsLater(t *testing.T) {
	w := newWorld(t)
	anas, ana := w.signUp("ana")
	_, tablet := w.signUp("ben")
	file := make([]byte, 50_000)
	if _, err := rand.Read(file); err != nil {
		t.Fatal(err)
	}
	sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, File: bytes.NewReader(file), Size: int64(len(file)), Name: "plan.pdf", Policy: reseal.Keep})
	if err != nil {
		t.Fatal(err)
	}
	id := sent[0].Message
	for range 2 {
		if _, body := open(t, tablet, id); !bytes.Equal(body, file) {
			t.Fatal("another file")
		}
	}
	if err := anas.Close(); err != nil {
		t.Fatal(err)
	}
	phone, how := w.logIn(w.phone(), "ben")
	if !how.NewDevice {
		t.Fatal("no new device")
	}
	if c, body := open(t, phone, id); !bytes.Equal(body, file) || c.Name != "plan.pdf" {
		t.Error("another file")
	}
	if _, body := open(t, tablet, id); !bytes.Equal(body, file) {
		t.Error("it is gone from the tablet")
	}
}

// One content to two: the first has viewed it, which is the end of the blob,
// before the message to the second is stored. The blob is uploaded again.
func TestViewBeforeTheOtherSendIsStored(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	_, ana := l.signUp("ana")
	_, ben := w.signUp("ben")
	_, carl := w.signUp("carl")
	file := make([]byte, 200_000)
	if _, err := rand.Read(file); err != nil {
		t.Fatal(err)
	}
	viewed := make(chan struct{})
	l.tell(lies{asked: func(method string, req proto.Message) error {
		q, ok := req.(*resealv1.SendRequest)
		if !ok {
			return nil
		}
		h, err := message.ParseHeader(q.Header)
		if err != nil {
			return err
		}
		if h.Recipient == carl.ID() {
			select {
			case <-viewed:
			case <-time.After(20 * time.Second):
			}
		}
		return nil
	}})
	type result struct {
		sent []reseal.Sent
		err  error
	}
	done := make(chan result, 1)
	go func() {
		sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben", "carl"}, File: bytes.NewReader(file), Size: int64(len(file)), Name: "both.bin"})
		done <- result{sent, err}
	}()
	first := first(t, ben)
	if _, body := open(t, ben, first); !bytes.Equal(body, file) {
		t.Error("ben has another file")
	}
	time.Sleep(500 * time.Millisecond) // the server deletes the blob
	close(viewed)
	r := <-done
	if r.err != nil {
		t.Fatalf("send: %v", r.err)
	}
	if _, body := open(t, carl, r.sent[1].Message); !bytes.Equal(body, file) {
		t.Error("carl has another file")
	}
}

// first waits for the first message.
func first(t testing.TB, a *reseal.Account) (id reseal.MessageID) {
	t.Helper()
	await(t, "a message", func() bool {
		inbox, err := a.Inbox(context.Background(), reseal.InboxOptions{})
		if err != nil || len(inbox) == 0 {
			return false
		}
		id = inbox[0].ID
		return true
	})
	return id
}

// Eve and the server together against Ben, who got the same content: she knows
// its key, so she can seal another stream under it. Ben's wrap names the digest
// of what Ana sent: he sees that, or nothing. Nor can she say for him that he
// has viewed it.
func TestRecipientAndServerAgainstAnother(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	_, ana := l.signUp("ana")
	phone, _ := l.signUp("ben")
	_, eve := w.signUp("eve")
	truth := bytes.Repeat([]byte("the truth. "), 1000)
	// The server keeps the message from Ben until Eve has made her stream.
	l.tell(lies{
		answered: func(_ string, _, resp proto.Message) error {
			if m, ok := resp.(*resealv1.ReadDayResponse); ok {
				m.Messages = nil
			}
			return nil
		},
		streamed: func(ev *resealv1.EventsResponse) []*resealv1.EventsResponse {
			if ev.GetMessage() != nil {
				return nil
			}
			return []*resealv1.EventsResponse{ev}
		},
	})
	sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"eve", "ben"}, Text: string(truth)})
	if err != nil {
		t.Fatal(err)
	}
	toBen := sent[1].Message
	awaitState(t, eve, sent[0].Message, client.IsReady)
	o, err := reseal.Opening(eve, sent[0].Message)
	if err != nil {
		t.Fatal(err)
	}
	var lie bytes.Buffer
	id, err := seal.NewContentID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sw, err := seal.NewWriter(&lie, rand.Reader, o.CEK, seal.Context{
		Kind: uint8(o.Header.Kind), Content: id, Sender: o.Header.Sender, Created: o.Header.Created,
	}, seal.Meta{Type: "text/plain; charset=utf-8; reseal=message", Size: uint64(len(truth))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sw.Write(bytes.Repeat([]byte("all lies.. "), 1000)); err != nil {
		t.Fatal(err)
	}
	if err := sw.Close(); err != nil {
		t.Fatal(err)
	}
	res, err := sw.Result()
	if err != nil {
		t.Fatal(err)
	}
	if uint64(lie.Len()) != o.Header.Length {
		t.Fatalf("%d bytes of lies for %d of truth", lie.Len(), o.Header.Length)
	}
	l.tell(altered(func(p *resealv1.Pending) { p.Inline, p.Segments = lie.Bytes(), res.Segments }))
	dir := phone.Dir()
	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := l.behind(dir).Resume(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	ben := all[0]
	awaitState(t, ben, toBen, client.IsReady)
	if err := ben.Open(ctx(t), toBen, func(reseal.Content) error { t.Error("shown"); return nil }, nil); !errors.Is(err, reseal.ErrAltered) {
		t.Errorf("open of a substituted stream: %v", err)
	}
	// Eve's receipt for Ben's message, with what authenticates hers.
	before := ana.Counters().BadReceipts
	r := reseal.ReceiptKey(eve, sent[0].Message)
	if r == (message.R{}) || r != reseal.ReceiptKey(ana, sent[0].Message) || r == reseal.ReceiptKey(ana, toBen) {
		t.Fatal("not the key of eve's message, or one for both")
	}
	receipt := message.Receipt{Message: toBen, Account: ben.ID(), Device: ben.Device(), What: message.Viewed, Time: o.Header.Created}.Seal(r)
	var once sync.Once
	l.tell(lies{streamed: func(ev *resealv1.EventsResponse) []*resealv1.EventsResponse {
		all := []*resealv1.EventsResponse{ev}
		once.Do(func() {
			all = append(all, &resealv1.EventsResponse{Event: &resealv1.EventsResponse_Receipt{Receipt: receipt}})
		})
		return all
	}})
	text(t, eve, "so that something is streamed", "ana")
	await(t, "the forged receipt is counted", func() bool { return ana.Counters().BadReceipts > before })
	if s := state(t, ana, toBen); s != client.Sent {
		t.Errorf("a forged receipt made the message %s", s)
	}
	l.tell(lies{})
	if _, body := open(t, ben, toBen); !bytes.Equal(body, truth) {
		t.Error("not the truth")
	}
	awaitState(t, ana, toBen, client.IsViewed)
}

// A session that another device ends locks the installation at once; the
// password opens it again as the device that it was.
func TestSessionEndedFromAnotherDevice(t *testing.T) {
	w := newWorld(t)
	_, ana := w.signUp("ana")
	phone, ben := w.signUp("ben")
	device := ben.Device()
	tablet, _ := w.logIn(w.phone(), "ben")
	id := keep(t, ana, "still there", "ben")
	awaitState(t, ben, id, client.IsReady)
	devices, err := tablet.Devices(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(devices, func(d reseal.Device) bool { return d.ID == device })
	if i < 0 || len(devices[i].Sessions) != 1 {
		t.Fatalf("devices: %+v", devices)
	}
	if err := reseal.EndSession(ctx(t), tablet, devices[i].Sessions[0].ID); err != nil {
		t.Fatal(err)
	}
	await(t, "the phone closes", func() bool {
		_, err := ben.Inbox(context.Background(), reseal.InboxOptions{})
		return errors.Is(err, reseal.ErrClosed)
	})
	await(t, "its login is over", func() bool { all, err := phone.LoggedIn(); return err == nil && len(all) == 0 })
	if all, err := phone.Resume(ctx(t)); err != nil || len(all) != 0 {
		t.Errorf("resume: %v, %v", all, err)
	}
	ben, how := w.logIn(phone, "ben")
	if how.NewDevice || ben.Device() != device {
		t.Errorf("login: %+v", how)
	}
	if _, body := open(t, ben, id); string(body) != "still there" {
		t.Errorf("got %q", body)
	}
}

// noUploads lets no blob through.
var noUploads = lies{http: func(w http.ResponseWriter, r *http.Request, real http.Handler) {
	if r.Method != http.MethodGet {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	real.ServeHTTP(w, r)
}}

// A logout in the middle of an upload says what stays behind, and the next
// login here goes on with it, although somebody else used the phone meanwhile.
func TestLogoutWhileAnUploadRuns(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	phone, ana := l.signUp("ana")
	_, ben := w.signUp("ben")
	file := make([]byte, 3<<20)
	if _, err := rand.Read(file); err != nil {
		t.Fatal(err)
	}
	l.tell(noUploads)
	done := make(chan error, 1)
	go func() {
		_, err := ana.Send(context.Background(), reseal.Outgoing{To: []string{"ben"}, File: bytes.NewReader(file), Size: int64(len(file)), Name: "long.bin", Queue: true})
		done <- err
	}()
	await(t, "the upload has begun", func() bool { return ana.Unsecured() > 0 })
	unsecured, err := ana.LogOut(ctx(t), reseal.LogOutOptions{})
	if err != nil || unsecured == 0 {
		t.Errorf("logout: %d, %v", unsecured, err)
	}
	<-done
	carl, _, err := phone.SignUp(ctx(t), "carl", []byte(secret+"carl"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := carl.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if files(t, phone) == 0 {
		t.Error("another account removed the file")
	}
	l.tell(lies{})
	if _, _, err := phone.LogIn(ctx(t), "ana", []byte(secret+"ana")); err != nil {
		t.Fatal(err)
	}
	if _, body := open(t, ben, first(t, ben)); !bytes.Equal(body, file) {
		t.Error("another file")
	}
}
