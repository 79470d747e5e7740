package auth_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	tw "github.com/reseal/reseal/internal/testworld"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

func TestAddDeviceAndItsRepeat(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	n := d.Account.NewDevice()
	n.Unbound()
	req, l := n.AddRequest()
	first := tw.Must[*resealv1.AddDeviceResponse](t)(n.C.AddDevice(ctx, req))
	// After an hour the session's record has been written anew.
	w.Pass(2 * time.Hour)
	tw.Must[*resealv1.GetBookResponse](t)(n.C.GetBook(ctx, &resealv1.GetBookRequest{}))
	again := tw.Must[*resealv1.AddDeviceResponse](t)(n.C.AddDevice(ctx, req))
	if !proto.Equal(first, again) {
		t.Errorf("repeat %v, first %v", again, first)
	}
	look := tw.Must[*resealv1.LookupResponse](t)(d.C.Directory.Lookup(ctx, &resealv1.LookupRequest{Handle: "alice"}))
	if !bytes.Equal(look.Account.List, l.Bytes()) || len(look.Account.Certificates) != 2 {
		t.Error("directory has another list or lacks a certificate")
	}
	if got := tw.Must[*resealv1.GetSharesResponse](t)(d.C.GetShares(ctx, &resealv1.GetSharesRequest{Row: n.Row[:]})); len(got.Shares) != 1 {
		t.Error("no share of the new device")
	}
}

// The commit's outcome is unknown, with the effect now or never: the handler
// repeats it, and the device is in the list once.
func TestAddDeviceUnknownOutcome(t *testing.T) {
	for _, o := range []memory.Outcome{memory.Now, memory.Never} {
		w := tw.New(t, nil)
		d := w.Account("alice")
		n := d.Account.NewDevice()
		n.Unbound()
		req, _ := n.AddRequest()
		asked := 0
		w.Outcomes(func(_ store.Partition, b *store.Batch) memory.Outcome {
			if len(b.Writes) < 4 {
				return memory.Known
			}
			if asked++; asked == 1 {
				return o
			}
			return memory.Known
		})
		tw.Must[*resealv1.AddDeviceResponse](t)(n.C.AddDevice(ctx, req))
		if d.Refresh(); asked != 2 || len(d.List.List.Devices) != 2 {
			t.Errorf("%d commits, %d devices", asked, len(d.List.List.Devices))
		}
	}
}

func TestAddDeviceRefusals(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	n := d.Account.NewDevice()
	n.Unbound()
	good, _ := n.AddRequest()
	third := d.Account.NewDevice()
	sign := func(change func(*identity.DeviceList)) []byte {
		l, err := identity.AddDevice(d.List, n.Entry(), w.Time())
		if err != nil {
			t.Fatal(err)
		}
		change(&l)
		s, err := identity.SignList(l, d.Keys.Account)
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}
	other := w.Account("bob")
	for name, c := range map[string]struct {
		change func(*resealv1.AddDeviceRequest)
		want   resealv1.Reason
	}{
		"old revision":     {func(r *resealv1.AddDeviceRequest) { r.Revision-- }, resealv1.Reason_REASON_CONFLICT},
		"device id":        {func(r *resealv1.AddDeviceRequest) { r.DeviceId = nil }, resealv1.Reason_REASON_MALFORMED},
		"other device id":  {func(r *resealv1.AddDeviceRequest) { r.DeviceId = tw.Random(16) }, resealv1.Reason_REASON_MALFORMED},
		"no capsules":      {func(r *resealv1.AddDeviceRequest) { r.Capsules = nil }, resealv1.Reason_REASON_MALFORMED},
		"no share":         {func(r *resealv1.AddDeviceRequest) { r.Share = nil }, resealv1.Reason_REASON_MALFORMED},
		"no certificate":   {func(r *resealv1.AddDeviceRequest) { r.Certified = nil }, resealv1.Reason_REASON_MALFORMED},
		"old certificate":  {func(r *resealv1.AddDeviceRequest) { r.Certified = d.Certified(d.Newest()) }, resealv1.Reason_REASON_PROOF},
		"wrong answer":     {func(r *resealv1.AddDeviceRequest) { r.Certified.ChallengeAnswer = tw.Random(32) }, resealv1.Reason_REASON_PROOF},
		"wrong state":      {func(r *resealv1.AddDeviceRequest) { r.Certified.ChallengeState[20] ^= 1 }, resealv1.Reason_REASON_PROOF},
		"list signature":   {func(r *resealv1.AddDeviceRequest) { r.List[len(r.List)-1] ^= 1 }, resealv1.Reason_REASON_MALFORMED},
		"list of another":  {func(r *resealv1.AddDeviceRequest) { r.List = other.List.Bytes() }, resealv1.Reason_REASON_CONFLICT},
		"version":          {func(r *resealv1.AddDeviceRequest) { r.List = sign(func(l *identity.DeviceList) { l.Version++ }) }, resealv1.Reason_REASON_CONFLICT},
		"previous hash":    {func(r *resealv1.AddDeviceRequest) { r.List = sign(func(l *identity.DeviceList) { l.Prev[0] ^= 1 }) }, resealv1.Reason_REASON_CONFLICT},
		"next key changed": {func(r *resealv1.AddDeviceRequest) { r.List = sign(func(l *identity.DeviceList) { l.Next[0] ^= 1 }) }, resealv1.Reason_REASON_PROOF},
		"issued late": {func(r *resealv1.AddDeviceRequest) {
			r.List = sign(func(l *identity.DeviceList) { l.IssuedAt = l.IssuedAt.Add(2 * time.Hour) })
		}, resealv1.Reason_REASON_CLOCK},
		"two devices more": {func(r *resealv1.AddDeviceRequest) {
			r.List = sign(func(l *identity.DeviceList) { l.Devices = append(l.Devices, third.Entry()) })
		}, resealv1.Reason_REASON_MALFORMED},
		"another left out": {func(r *resealv1.AddDeviceRequest) {
			r.List = sign(func(l *identity.DeviceList) { l.Devices = []identity.Device{n.Entry()} })
		}, resealv1.Reason_REASON_MALFORMED},
		"another's key": {func(r *resealv1.AddDeviceRequest) {
			r.List = sign(func(l *identity.DeviceList) {
				for i := range l.Devices {
					if l.Devices[i].ID == d.ID {
						l.Devices[i].Key = third.Key.Public()
					}
				}
			})
		}, resealv1.Reason_REASON_MALFORMED},
	} {
		t.Run(name, func(t *testing.T) {
			req := proto.Clone(good).(*resealv1.AddDeviceRequest)
			c.change(req)
			_, err := n.C.AddDevice(ctx, req)
			tw.Refused(t, err, c.want)
		})
	}
	// A session that is bound already belongs to its device.
	bound := proto.Clone(good).(*resealv1.AddDeviceRequest)
	_, err := d.C.AddDevice(ctx, bound)
	tw.Refused(t, err, resealv1.Reason_REASON_CONFLICT)
	tw.Must[*resealv1.AddDeviceResponse](t)(n.C.AddDevice(ctx, good))
}

// Two logins add a device at once: one is told to apply its intent anew.
func TestAddDeviceRace(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	errs := make(chan error, 2)
	var calls []func()
	for range 2 {
		n := d.Account.NewDevice()
		n.Unbound()
		req, _ := n.AddRequest()
		calls = append(calls, func() { _, err := n.C.AddDevice(ctx, req); errs <- err })
	}
	for _, call := range calls {
		go call()
	}
	e1, e2 := <-errs, <-errs
	if (e1 == nil) == (e2 == nil) {
		t.Fatalf("%v, %v", e1, e2)
	}
	if e1 == nil {
		e1 = e2
	}
	tw.Refused(t, e1, resealv1.Reason_REASON_CONFLICT)
}

func TestEleventhDeviceDropsOne(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	for range identity.MaxDevices - 1 {
		d.Account.Join()
	}
	n := d.Account.NewDevice()
	n.Unbound()
	d.Refresh()
	l, err := identity.AddDeviceDropping(d.List, n.Entry(), d.ID, w.Time())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := identity.SignList(l, d.Keys.Account)
	if err != nil {
		t.Fatal(err)
	}
	tw.Must[*resealv1.AddDeviceResponse](t)(n.C.AddDevice(ctx, &resealv1.AddDeviceRequest{
		Revision: d.Revision, List: signed.Bytes(), Certified: n.Certified(n.Newest()), Share: n.APIShare(), Capsules: d.Capsules(), DeviceId: n.ID[:],
	}))
	_, err = d.C.GetSessionShare(ctx, &resealv1.GetSessionShareRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	if got := tw.Must[*resealv1.GetSharesResponse](t)(n.C.GetShares(ctx, &resealv1.GetSharesRequest{Row: d.Row[:]})); len(got.Shares) != 0 {
		t.Error("the dropped device's share is still there")
	}
}

func TestRemoveDevice(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	gone := d.Account.Join()
	stream, _ := gone.Events()
	watcher, _ := w.Account("bob").Events(d.Account.ID)
	req, l := d.Account.RemoveRequest(gone)
	for name, change := range map[string]func(*resealv1.RemoveDeviceRequest){
		"another device":    func(r *resealv1.RemoveDeviceRequest) { r.DeviceId = d.ID[:] },
		"a device of noone": func(r *resealv1.RemoveDeviceRequest) { r.DeviceId = tw.Random(16) },
	} {
		bad := proto.Clone(req).(*resealv1.RemoveDeviceRequest)
		change(bad)
		_, err := d.C.RemoveDevice(ctx, bad)
		if t.Log(name); err == nil {
			t.Fatal("taken")
		}
		tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)
	}
	old := proto.Clone(req).(*resealv1.RemoveDeviceRequest)
	old.Revision--
	_, err := d.C.RemoveDevice(ctx, old)
	tw.Refused(t, err, resealv1.Reason_REASON_CONFLICT)

	first := tw.Must[*resealv1.RemoveDeviceResponse](t)(d.C.RemoveDevice(ctx, req))
	again := tw.Must[*resealv1.RemoveDeviceResponse](t)(d.C.RemoveDevice(ctx, req))
	if first.Revision != again.Revision {
		t.Error("a repeat changed something")
	}
	// At once: its calls, its share, its stream, and who watches.
	_, err = gone.C.GetBook(ctx, &resealv1.GetBookRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	_, err = gone.C.GetSessionShare(ctx, &resealv1.GetSessionShareRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	tw.Refused(t, stream.End(), resealv1.Reason_REASON_SESSION_ENDED)
	if got := tw.Must[*resealv1.GetSharesResponse](t)(d.C.GetShares(ctx, &resealv1.GetSharesRequest{Row: gone.Row[:]})); len(got.Shares) != 0 {
		t.Error("its share is still there")
	}
	ev := watcher.Until(func(e *resealv1.EventsResponse) bool { return e.GetAccount() != nil })
	if !bytes.Equal(ev.GetAccount().List, l.Bytes()) {
		t.Error("watchers were told another list")
	}
	// A put for its row finds nothing to open the section with.
	s := gone.APIShare()
	s.ShareId = tw.Random(16)
	_, err = d.C.PutShare(ctx, &resealv1.PutShareRequest{Revision: first.Revision, Share: s, CurrentShareId: gone.Share[:]})
	tw.Refused(t, err, resealv1.Reason_REASON_UNKNOWN_SHARE)
}

func TestPublishEpoch(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	tablet := d.Account.Join()
	watcher, _ := w.Account("bob").Events(d.Account.ID)
	w.Pass(8 * 24 * time.Hour)
	e := d.NewEpoch()
	req := &resealv1.PublishEpochRequest{Certified: d.Certified(e)}
	unanswered := proto.Clone(req).(*resealv1.PublishEpochRequest)
	unanswered.Certified.ChallengeAnswer = nil
	_, err := d.C.PublishEpoch(ctx, unanswered)
	tw.Refused(t, err, resealv1.Reason_REASON_PROOF)
	_, err = tablet.C.PublishEpoch(ctx, req)
	tw.Refused(t, err, resealv1.Reason_REASON_PROOF) // another device's
	_, err = d.C.PublishEpoch(ctx, &resealv1.PublishEpochRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_MALFORMED)

	for range 2 {
		tw.Must[*resealv1.PublishEpochResponse](t)(d.C.PublishEpoch(ctx, req))
	}
	ev := watcher.Until(func(ev *resealv1.EventsResponse) bool { return ev.GetAccount() != nil })
	found := false
	for _, c := range ev.GetAccount().Certificates {
		found = found || bytes.Equal(c, e.Cert.Bytes())
	}
	if !found {
		t.Error("watchers were not told the new certificate")
	}
	// Another certificate of the same epoch, or an older one.
	d.Epochs = d.Epochs[:1]
	twin := d.NewEpoch()
	_, err = d.C.PublishEpoch(ctx, &resealv1.PublishEpochRequest{Certified: d.Certified(twin)})
	tw.Refused(t, err, resealv1.Reason_REASON_CONFLICT)
	w.Pass(2 * time.Hour)
	d.Epochs = append(d.Epochs[:1], e)
	late := d.NewEpoch()
	w.Pass(2 * time.Hour)
	_, err = d.C.PublishEpoch(ctx, &resealv1.PublishEpochRequest{Certified: d.Certified(late)})
	tw.Refused(t, err, resealv1.Reason_REASON_CLOCK)
}

func TestSessionsListedAndEnded(t *testing.T) {
	w := tw.New(t, nil)
	d := w.Account("alice")
	tablet := d.Account.Join()
	stream, _ := tablet.Events()
	all := tw.Must[*resealv1.ListSessionsResponse](t)(d.C.ListSessions(ctx, &resealv1.ListSessionsRequest{})).Sessions
	if len(all) != 2 {
		t.Fatalf("%d sessions", len(all))
	}
	for _, s := range all {
		if s.This != bytes.Equal(s.DeviceId, d.ID[:]) {
			t.Error("the wrong session is called this")
		}
		if !s.This {
			tw.Must[*resealv1.EndSessionResponse](t)(d.C.EndSession(ctx, &resealv1.EndSessionRequest{Id: s.Id}))
		}
	}
	tw.Refused(t, stream.End(), resealv1.Reason_REASON_SESSION_ENDED)
	_, err := tablet.C.GetSessionShare(ctx, &resealv1.GetSessionShareRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	// Logging out ends the own one; the device stays in the list.
	tw.Must[*resealv1.EndSessionResponse](t)(d.C.EndSession(ctx, &resealv1.EndSessionRequest{}))
	_, err = d.C.ListSessions(ctx, &resealv1.ListSessionsRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
	if d.Refresh(); len(d.List.List.Devices) != 2 {
		t.Error("a device left the list by logging out")
	}
	// Sessions last 90 days after their last use.
	b := w.Account("bob")
	for range 3 {
		w.Pass(80 * 24 * time.Hour)
		tw.Must[*resealv1.GetBookResponse](t)(b.C.GetBook(ctx, &resealv1.GetBookRequest{}))
	}
	w.Pass(91 * 24 * time.Hour)
	_, err = b.C.GetBook(ctx, &resealv1.GetBookRequest{})
	tw.Refused(t, err, resealv1.Reason_REASON_SESSION_ENDED)
}
