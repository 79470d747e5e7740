package reseal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/reseal/reseal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
)

// answers changes the answers of one type.
func answers[T proto.Message](f func(T)) lies {
	return lies{answered: func(_ string, _, resp proto.Message) error {
		if m, ok := resp.(T); ok {
			f(m)
		}
		return nil
	}}
}

// What a lying server serves at the login is refused by name, whatever it is,
// at a fresh installation and at one with a section; afterwards the login works
// as if nothing had been.
func TestLoginAtALyingServer(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	var old *resealv1.FinishLoginResponse
	l.tell(answers(func(m *resealv1.FinishLoginResponse) { old = proto.Clone(m).(*resealv1.FinishLoginResponse) }))
	phone, ana := l.signUp("ana")
	if _, err := ana.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := phone.LogIn(ctx(t), "ana", []byte(secret+"ana")); err != nil {
		t.Fatal(err)
	}
	w.logIn(w.phone(), "ana") // list version 2, and a capsule that says so
	ana, _ = phone.Account("ana")
	device := ana.Device()
	if _, err := ana.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
		t.Fatal(err)
	}
	w.signUp("eve")
	var eves *resealv1.FinishLoginResponse
	l.tell(answers(func(m *resealv1.FinishLoginResponse) { eves = proto.Clone(m).(*resealv1.FinishLoginResponse) }))
	if _, _, err := l.behind(t.TempDir()).LogIn(ctx(t), "eve", []byte(secret+"eve")); err != nil {
		t.Fatal(err)
	}
	type resp = resealv1.FinishLoginResponse
	for _, c := range []struct {
		name string
		lie  lies
		want error
		// fresh: the lie meets fresh installations only.
		fresh bool
		// names is what the error says was wrong.
		names string
	}{
		{"altered capsule", answers(func(m *resp) { flip(m.Capsules.Capsule, len(m.Capsules.Capsule)-1) }), reseal.ErrServer, false, "capsule"},
		{"cut capsule", answers(func(m *resp) { m.Capsules.Capsule = m.Capsules.Capsule[:20] }), reseal.ErrServer, false, "capsule"},
		{"no capsule", answers(func(m *resp) { m.Capsules = nil }), reseal.ErrServer, false, "capsule"},
		{"somebody's capsule", answers(func(m *resp) { m.Capsules = eves.Capsules }), reseal.ErrServer, false, "capsule"},
		{"somebody's everything", answers(func(m *resp) { proto.Reset(m); proto.Merge(m, eves) }), reseal.ErrServer, false, "capsule"},
		{"altered list", answers(func(m *resp) { flip(m.List, len(m.List)-1) }), reseal.ErrServer, false, "device list"},
		{"older list", answers(func(m *resp) { m.List = old.List }), reseal.ErrServer, false, "device list"},
		{"somebody's list", answers(func(m *resp) { m.List = eves.List }), reseal.ErrServer, false, "device list"},
		{"no list", answers(func(m *resp) { m.List = nil }), reseal.ErrServer, false, "device list"},
		{"newer capsule", answers(func(m *resp) { m.Capsules.Capsule[1]++ }), reseal.ErrNewer, false, "capsule"},
		{"newer list", answers(func(m *resp) { m.List[1]++ }), reseal.ErrNewer, false, "device list"},
		{"altered KE2", answers(func(m *resealv1.StartLoginResponse) { flip(m.Ke2, 100) }), reseal.ErrLogin, false, ""},
		{"cut KE2", answers(func(m *resealv1.StartLoginResponse) { m.Ke2 = m.Ke2[:50] }), reseal.ErrLogin, false, ""},
		{"altered book", answers(func(m *resealv1.GetBookResponse) { flip(m.Book.Parts[0], 30) }), reseal.ErrServer, true, "contact book"},
		{"older book", answers(func(m *resealv1.GetBookResponse) { m.Book.Version = 0 }), reseal.ErrServer, true, "contact book"},
		{"no book", answers(func(m *resealv1.GetBookResponse) { m.Book = nil }), reseal.ErrServer, true, "contact book"},
		// Only who has a section binds a session.
		{"short session share", answers(func(m *resealv1.BindSessionResponse) { m.SessionShare = m.SessionShare[:5] }), reseal.ErrServer, false, "session share"},
		{"challenge", answers(func(m *resealv1.ChallengeEpochResponse) { m.Enc = m.Enc[:5] }), reseal.ErrServer, true, "epoch certificate of device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.tell(c.lie)
			defer l.tell(lies{})
			if c.name != "short session share" {
				in := l.behind(t.TempDir())
				if _, _, err := in.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.names) {
					t.Errorf("fresh installation: %v, which should name the %s", err, c.names)
				}
				if all, err := in.LoggedIn(); err != nil || len(all) != 0 {
					t.Errorf("logged in: %v, %v", all, err)
				}
			}
			if !c.fresh {
				before := sealed(t, phone.Dir())
				if _, _, err := phone.LogIn(ctx(t), "ana", []byte(secret+"ana")); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.names) {
					t.Errorf("installation with a section: %v, which should name the %s", err, c.names)
				}
				// All but the last lie are seen before the section is touched.
				if c.name != "short session share" && !maps.Equal(sealed(t, phone.Dir()), before) {
					t.Error("a section was written")
				}
			}
		})
	}
	ana, how, err := phone.LogIn(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil || how.NewDevice || ana.Device() != device {
		t.Errorf("after all lies: %+v, %v", how, err)
	}
	if devices, err := ana.Devices(ctx(t)); err != nil || len(devices) != 2 {
		t.Errorf("%d devices, %v", len(devices), err)
	}
}

// everyKeys changes an account's keys wherever the server tells them.
func everyKeys(f func(*resealv1.AccountKeys)) lies {
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		if k, ok := m.Interface().(*resealv1.AccountKeys); ok {
			f(k)
			return
		}
		m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case d.Message() == nil || d.IsMap():
			case d.IsList():
				for i := range v.List().Len() {
					walk(v.List().Get(i).Message())
				}
			default:
				walk(v.Message())
			}
			return true
		})
	}
	return lies{
		answered: func(_ string, _, resp proto.Message) error {
			walk(resp.ProtoReflect())
			return nil
		},
		streamed: func(ev *resealv1.EventsResponse) []*resealv1.EventsResponse {
			walk(ev.ProtoReflect())
			return []*resealv1.EventsResponse{ev}
		},
	}
}

// What a lying directory serves of a contact.
func TestLyingDirectory(t *testing.T) {
	w := newWorld(t)
	l := w.liar(t)
	_, ana := l.signUp("ana")
	_, ben := w.signUp("ben")
	_, eve := w.signUp("eve")
	var old, eves *resealv1.AccountKeys
	l.tell(answers(func(m *resealv1.LookupResponse) {
		k := proto.Clone(m.Account).(*resealv1.AccountKeys)
		if k.Handle == "ben" && old == nil {
			old = k
		} else if k.Handle == "eve" {
			eves = k
		}
	}))
	text(t, ana, "hello", "ben")
	text(t, ana, "hello", "eve")
	lookup := func(f func(*resealv1.AccountKeys)) lies {
		return lies{answered: func(_ string, _, resp proto.Message) error {
			switch m := resp.(type) {
			case *resealv1.LookupResponse:
				f(m.Account)
			case *resealv1.GetAccountsResponse:
				for _, k := range m.Accounts {
					f(k)
				}
			}
			return nil
		}}
	}
	send := func(t *testing.T) error {
		t.Helper()
		_, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"ben"}, Text: "for ben only"})
		return err
	}
	for _, c := range []struct {
		name string
		lie  func(*resealv1.AccountKeys)
	}{
		{"altered list", func(k *resealv1.AccountKeys) { flip(k.List, len(k.List)-1) }},
		{"altered version", func(k *resealv1.AccountKeys) { flip(k.List, 90) }},
		{"cut list", func(k *resealv1.AccountKeys) { k.List = k.List[:40] }},
		{"no list", func(k *resealv1.AccountKeys) { k.List = nil }},
		{"newer list", func(k *resealv1.AccountKeys) { k.List[1]++ }},
		{"somebody's list", func(k *resealv1.AccountKeys) { k.List = eves.List }},
		{"another handle", func(k *resealv1.AccountKeys) { k.Handle = "eve" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.tell(lookup(c.lie))
			defer l.tell(lies{})
			want := reseal.ErrServer
			if c.name == "newer list" {
				want = reseal.ErrNewer
			}
			names := "device list"
			if c.name == "another handle" {
				names = "keys for ben"
			}
			if err := send(t); !errors.Is(err, want) || !strings.Contains(err.Error(), names) {
				t.Errorf("send: %v, which should name the %s", err, names)
			}
		})
	}
	t.Run("somebody's account", func(t *testing.T) {
		l.tell(lookup(func(k *resealv1.AccountKeys) {
			k.AccountId, k.List, k.Certificates = eves.AccountId, eves.List, eves.Certificates
		}))
		defer l.tell(lies{})
		var other *reseal.RenamedError
		if err := send(t); !errors.As(err, &other) {
			t.Errorf("send: %v", err)
		}
	})
	var told atomic.Int64
	altered := func(k *resealv1.AccountKeys) {
		for _, c := range k.Certificates {
			flip(c, len(c)-1)
			told.Add(1)
		}
	}
	t.Run("altered certificates", func(t *testing.T) {
		bad := ana.Counters().BadKeys
		l.tell(lookup(altered))
		defer l.tell(lies{})
		id := text(t, ana, "by the certificate that is known", "ben")
		if _, body := open(t, ben, id); string(body) != "by the certificate that is known" {
			t.Errorf("got %q", body)
		}
		if n := told.Load(); n == 0 || ana.Counters().BadKeys == bad {
			t.Errorf("%d altered certificates served, %d counted", n, ana.Counters().BadKeys-bad)
		}
	})
	t.Run("altered certificates at first contact", func(t *testing.T) {
		_, carl := w.signUp("carl")
		bad, served := ana.Counters().BadKeys, told.Load()
		l.tell(everyKeys(altered))
		defer l.tell(lies{})
		sent, err := ana.Send(ctx(t), reseal.Outgoing{To: []string{"carl"}, Text: "for whom?"})
		if err != nil || sent[0].Devices != 0 || sent[0].Message == (reseal.MessageID{}) {
			t.Fatalf("sent: %+v, %v", sent, err)
		}
		if told.Load() == served || ana.Counters().BadKeys == bad {
			t.Errorf("%d altered certificates served, %d counted", told.Load()-served, ana.Counters().BadKeys-bad)
		}
		// His device asks for the key, and is answered once ana is served its
		// certificate.
		awaitState(t, carl, sent[0].Message, client.Waiting)
		l.tell(lies{})
		awaitState(t, carl, sent[0].Message, client.IsReady)
		if _, body := open(t, carl, sent[0].Message); string(body) != "for whom?" {
			t.Errorf("got %q", body)
		}
	})
	t.Run("older list", func(t *testing.T) {
		second, _ := w.logIn(w.phone(), "ben")
		await(t, "ana knows", func() bool { c, err := ana.Contact(ctx(t), "ben"); return err == nil && c.Devices == 2 })
		l.tell(lookup(func(k *resealv1.AccountKeys) {
			if bytes.Equal(k.AccountId, old.AccountId) {
				k.List, k.Certificates = old.List, old.Certificates
			}
		}))
		defer l.tell(lies{})
		before := ana.Counters().OlderLists
		id := text(t, ana, "for both", "ben")
		if ana.Counters().OlderLists == before {
			t.Error("an older list is not counted")
		}
		if _, body := open(t, second, id); string(body) != "for both" {
			t.Errorf("got %q", body)
		}
	})
	// The sends that were refused are nowhere: not at ben's, not with ana.
	settled(t, ben)
	if got, err := ben.Inbox(ctx(t), reseal.InboxOptions{Ended: true}); err != nil || len(got) != 3 {
		t.Errorf("ben has had %d messages, not the three that were sent, %v", len(got), err)
	}
	if sent, err := ana.Inbox(ctx(t), reseal.InboxOptions{Sent: true, Ended: true}); err != nil || len(sent) != 5 {
		t.Errorf("ana has sent %d messages, not five, %v", len(sent), err)
	}
	for _, m := range inboxOf(t, eve) {
		if m.State == client.IsReady {
			continue
		}
		t.Errorf("eve has a message %s", m.State)
	}
	if n := len(inboxOf(t, eve)); n != 1 {
		t.Errorf("eve has %d messages", n)
	}
}

func inboxOf(t testing.TB, a *reseal.Account) []reseal.Message {
	t.Helper()
	all, err := a.Inbox(ctx(t), reseal.InboxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// scan looks for secrets in all files of a folder, raw, in hex and in base64.
func scan(t testing.TB, dir string, secrets ...[]byte) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		for _, s := range secrets {
			for _, form := range [][]byte{s, []byte(hex.EncodeToString(s)), []byte(base64.StdEncoding.EncodeToString(s)), []byte(base64.RawURLEncoding.EncodeToString(s))} {
				if bytes.Contains(b, form) || bytes.Contains([]byte(d.Name()), form) {
					t.Errorf("%s holds %q", d.Name(), form)
				}
			}
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files, %v", n, err)
	}
}

// Two accounts in one folder, both logged out: the files hold nothing of
// either, not who they are, not with whom they talk, not what; and with one's
// password the other stays shut.
func TestTwoAccountsInOneFolder(t *testing.T) {
	w := newWorld(t)
	_, carl := w.signUp("carl")
	phone := w.phone()
	ana, _, err := phone.SignUp(ctx(t), "ana", []byte(secret+"ana"))
	if err != nil {
		t.Fatal(err)
	}
	ben, _, err := phone.SignUp(ctx(t), "ben", []byte(secret+"ben"))
	if err != nil {
		t.Fatal(err)
	}
	devices := map[string][16]byte{"ana": ana.Device(), "ben": ben.Device()}
	canary := []byte("canary-in-the-coal-mine")
	file := bytes.Repeat(canary, 2000)
	var ids []reseal.MessageID
	for _, a := range []*reseal.Account{ana, ben} {
		sent, err := carl.Send(ctx(t), reseal.Outgoing{
			To: []string{a.Handle()}, File: bytes.NewReader(file), Size: int64(len(file)), Name: "canary-name.txt", Caption: "canary-caption", Policy: reseal.Keep,
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, sent[0].Message)
		if _, body := open(t, a, sent[0].Message); !bytes.Equal(body, file) {
			t.Fatal("another file")
		}
		keep(t, a, "canary-in-a-text", "carl")
	}
	stolen := copyFolder(t, phone.Dir())
	for _, a := range []*reseal.Account{ana, ben} {
		if err := a.Settle(ctx(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.LogOut(ctx(t), reseal.LogOutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	id := func(b [16]byte) []byte { return b[:] }
	scan(t, phone.Dir(),
		canary, []byte("canary-name"), []byte("canary-caption"), []byte("canary-in-a-text"), []byte(secret),
		id(ana.ID()), id(ben.ID()), id(carl.ID()), id(ana.Device()), id(ben.Device()), ids[0][:], ids[1][:],
	)
	scan(t, w.blobs, canary, []byte("canary-name"), []byte("canary-caption"))
	// Stolen while they were logged in, used after.
	thief := w.install(stolen)
	if all, err := thief.Resume(ctx(t)); !errors.Is(err, reseal.ErrSessionEnded) || len(all) != 0 {
		t.Errorf("resume of a stolen folder: %v, %v", all, err)
	}
	for _, wrong := range []string{"ana", "ben"} {
		if _, _, err := thief.LogIn(ctx(t), wrong, []byte(secret+"carl")); !errors.Is(err, reseal.ErrLogin) {
			t.Errorf("login: %v", err)
		}
	}
	// Ana alone logs in: she has hers, and Ben's stay shut.
	w.logIn(w.phone(), "ana") // another device, so that this one may be removed
	ana, how := w.logIn(phone, "ana")
	if how.NewDevice || ana.Device() != devices["ana"] {
		t.Errorf("login: %+v", how)
	}
	if _, body := open(t, ana, ids[0]); !bytes.Equal(body, file) {
		t.Error("another file")
	}
	if err := ana.Open(ctx(t), ids[1], nil, nil); !errors.Is(err, reseal.ErrUnknownMessage) {
		t.Errorf("ana and ben's message: %v", err)
	}
	if _, err := ana.LogOut(ctx(t), reseal.LogOutOptions{Remove: true, Password: []byte(secret + "ana")}); err != nil {
		t.Fatal(err)
	}
	ben, how = w.logIn(phone, "ben")
	if how.NewDevice || ben.Device() != devices["ben"] {
		t.Errorf("login: %+v", how)
	}
	if _, body := open(t, ben, ids[1]); !bytes.Equal(body, file) {
		t.Error("another file")
	}
}
