package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// AddDevice publishes a list with one more device, its certificate and its
// share, and binds the session to it, in one batch.
func (s *Service) AddDevice(ctx context.Context, req *resealv1.AddDeviceRequest) (*resealv1.AddDeviceResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	if !isLen(req.DeviceId, 16) {
		return nil, refusal.Malformed("device")
	}
	resp, err := s.addDevice(ctx, c, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Counter.Count("devices", "added")
	return resp, nil
}

func (s *Service) addDevice(ctx context.Context, c caller.Caller, req *resealv1.AddDeviceRequest) (*resealv1.AddDeviceResponse, error) {
	device := identity.DeviceID(req.DeviceId)
	if err := checkCapsules(req.Capsules); err != nil {
		return nil, err
	}
	row, share, err := shareOf(req.Share)
	if err != nil {
		return nil, err
	}
	token, err := tokenOf(req)
	if err != nil {
		return nil, err
	}
	a, err := s.readAs(ctx, c)
	if err != nil {
		return nil, err
	}
	p := records.AccountPartition(c.Account)
	rec, err := s.Store.Get(ctx, p, records.SessionKey(c.Session))
	if err != nil {
		return nil, err
	}
	session, err := records.ParseSession(rec.Value)
	if err != nil {
		return nil, err
	}
	if session.Device == device {
		if again, err := s.wasList(ctx, c.Account, req.List); err != nil {
			return nil, err
		} else if again { // a repeat; the first try may not have told
			s.listChanged(c.Account)
			return &resealv1.AddDeviceResponse{Revision: a.rev, SessionShare: session.Share[:]}, nil
		}
	}
	if !session.Device.IsZero() || a.rev != req.Revision {
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	l, err := s.nextList(a, req.List)
	if err != nil {
		return nil, err
	}
	if err := addsOne(a.list, l, device); err != nil {
		return nil, err
	}
	cert, err := s.certified(req.Certified, l, device)
	if err != nil {
		return nil, err
	}
	a.pw.Capsule, a.pw.Copy = req.Capsules.Capsule, req.Capsules.Copy
	session.Device, session.Row = device, row
	b := a.batch(token).
		Create(records.ShareKey(row), records.Shares{Device: device, Opened: share}.Encode(), token, 0).
		Replace(rec.Key, rec.Rev, session.Encode(), token, int64(s.now().Add(SessionLife)))
	s.putList(b, a, l, token)
	putCertificate(b, cert)
	if err := s.destroyShares(ctx, b, a.id, l, token); err != nil {
		return nil, err
	}
	if err := s.commit(ctx, c.Account, b, token); err != nil {
		return nil, err
	}
	s.listChanged(c.Account)
	rev, err := s.revision(ctx, c.Account)
	return &resealv1.AddDeviceResponse{Revision: rev, SessionShare: session.Share[:]}, err
}

// wasList tells whether these very bytes stand in the history of the lists.
func (s *Service) wasList(ctx context.Context, id identity.AccountID, b []byte) (bool, error) {
	l, err := identity.ParseSignedList(b)
	if err != nil {
		return false, refusal.Malformed("device list")
	}
	rec, err := s.Store.Get(ctx, records.AccountPartition(id), records.ListKey(l.List.Version))
	if errors.Is(err, store.ErrAbsent) {
		return false, nil
	}
	return err == nil && string(rec.Value) == string(b), err
}

// nextList checks that a list is the successor of the one that stands.
func (s *Service) nextList(a *account, b []byte) (*identity.SignedList, error) {
	l, err := identity.ParseSignedList(b)
	if err != nil {
		return nil, refusal.Malformed("device list")
	}
	if l.List.Account != a.id || l.List.Version != a.list.List.Version+1 || l.List.Prev != a.list.Hash() {
		return nil, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	if _, err := identity.PinOf(a.list).Follow(l); err != nil || l.Rotation() {
		return nil, refusal.New(resealv1.Reason_REASON_PROOF)
	}
	return l, s.near(l.List.IssuedAt)
}

// addsOne checks that a list has one device more, and drops one at most, where
// the old one was full.
func addsOne(old, l *identity.SignedList, device identity.DeviceID) error {
	if _, ok := l.Find(device); !ok {
		return refusal.Malformed("device list")
	}
	kept := 0
	for _, d := range l.List.Devices {
		if was, ok := old.Find(d.ID); ok && was == d {
			kept++
		}
	}
	want := len(old.List.Devices)
	if want == identity.MaxDevices {
		want--
	}
	if kept != want || len(l.List.Devices) != kept+1 {
		return refusal.Malformed("device list")
	}
	return nil
}

func (s *Service) putList(b *store.Batch, a *account, l *identity.SignedList, token store.Token) {
	b.Replace(records.List, a.listRev, l.Bytes(), token, 0)
	b.PutOnce(records.ListKey(l.List.Version), l.Bytes(), int64(s.now().Add(listKept)))
}

// destroyShares destroys, in the same batch, the shares of every device that
// the new list lacks: their sections can never be opened again.
func (s *Service) destroyShares(ctx context.Context, b *store.Batch, id identity.AccountID, l *identity.SignedList, token store.Token) error {
	for rec, err := range store.Scan(ctx, s.Store, records.AccountPartition(id), records.SharesAll, store.PrefixEnd(records.SharesAll), false) {
		if err != nil {
			return err
		}
		if rec.Gone() {
			continue
		}
		sh, err := records.ParseShares(rec.Value)
		if err != nil {
			return err
		}
		if _, ok := l.Find(sh.Device); ok {
			continue
		}
		b.RevIs(rec.Key, rec.Rev).Gone(rec.Key, token, int64(s.now().Add(listKept)))
	}
	return nil
}

func (s *Service) listChanged(id identity.AccountID) {
	s.changed(id)
	s.Bus.Publish(s.Topics.Directory(id), nil)
}

// BindSession binds a session to a device that is in the list already, on the
// signature of the device's key.
func (s *Service) BindSession(ctx context.Context, req *resealv1.BindSessionRequest) (*resealv1.BindSessionResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	if !isLen(req.DeviceId, 16) || !isLen(req.Row, 32) || !isLen(req.Signature, len(identity.Signature{})) {
		return nil, refusal.Malformed("binding")
	}
	share, err := s.bind(ctx, c, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.BindSessionResponse{SessionShare: share[:]}, nil
}

func (s *Service) bind(ctx context.Context, c caller.Caller, req *resealv1.BindSessionRequest) (share [32]byte, err error) {
	device := identity.DeviceID(req.DeviceId)
	a, err := s.read(ctx, c.Account)
	if err != nil {
		return share, err
	}
	d, ok := a.list.Find(device)
	if !ok || d.Key.Verify(identity.NameSession, identity.SessionBinding(c.Account, device, c.Session), identity.Signature(req.Signature)) != nil {
		return share, refusal.New(resealv1.Reason_REASON_PROOF)
	}
	p := records.AccountPartition(c.Account)
	rec, err := s.Store.Get(ctx, p, records.SessionKey(c.Session))
	if err != nil {
		return share, err
	}
	session, err := records.ParseSession(rec.Value)
	if err != nil {
		return share, err
	}
	if session.Device == device { // a repeat
		s.changed(c.Account)
		return session.Share, nil
	}
	if !session.Device.IsZero() {
		return share, refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	token, err := tokenOf(req)
	if err != nil {
		return share, err
	}
	session.Device, session.Row = device, [32]byte(req.Row)
	b := new(store.Batch).RevIs(records.List, a.listRev).Replace(rec.Key, rec.Rev, session.Encode(), token, int64(s.now().Add(SessionLife)))
	if err := s.commit(ctx, c.Account, b, token); err != nil {
		return share, err
	}
	s.changed(c.Account)
	return session.Share, nil
}

// RemoveDevice publishes a list without a device: its share is destroyed and
// its sessions are dead in the same batch.
func (s *Service) RemoveDevice(ctx context.Context, req *resealv1.RemoveDeviceRequest) (*resealv1.RemoveDeviceResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	if !isLen(req.DeviceId, 16) {
		return nil, refusal.Malformed("device")
	}
	if err := s.removeDevice(ctx, c, req); err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Counter.Count("devices", "removed")
	rev, err := s.revision(ctx, c.Account)
	return &resealv1.RemoveDeviceResponse{Revision: rev}, s.fail(ctx, err)
}

func (s *Service) removeDevice(ctx context.Context, c caller.Caller, req *resealv1.RemoveDeviceRequest) error {
	device := identity.DeviceID(req.DeviceId)
	if err := checkCapsules(req.Capsules); err != nil {
		return err
	}
	token, err := tokenOf(req)
	if err != nil {
		return err
	}
	a, err := s.readAs(ctx, c)
	if err != nil {
		return err
	}
	if again, err := s.wasList(ctx, c.Account, req.List); err != nil {
		return err
	} else if again { // a repeat; the first try may not have told
		s.listChanged(c.Account)
		return nil
	}
	if a.rev != req.Revision {
		return refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	l, err := s.nextList(a, req.List)
	if err != nil {
		return err
	}
	without := slices.DeleteFunc(slices.Clone(a.list.List.Devices), func(d identity.Device) bool { return d.ID == device })
	if len(without) != len(a.list.List.Devices)-1 || !slices.Equal(without, l.List.Devices) {
		return refusal.Malformed("device list")
	}
	a.pw.Capsule, a.pw.Copy = req.Capsules.Capsule, req.Capsules.Copy
	b := a.batch(token)
	s.putList(b, a, l, token)
	if err := s.destroyShares(ctx, b, a.id, l, token); err != nil {
		return err
	}
	if err := s.commit(ctx, c.Account, b, token); err != nil {
		return err
	}
	s.listChanged(c.Account)
	return nil
}
