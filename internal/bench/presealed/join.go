package presealed

import (
	"context"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/opaque"
)

// Joining is a new device that has logged in by the account's password and is
// not in the account's list yet.
type Joining struct {
	device *Device
	list   *identity.SignedList
	req    *resealv1.AddDeviceRequest
}

// LogIn logs in by the password and makes everything that a new device needs.
// Argon2id takes a tenth of a second of it.
func (a *Account) LogIn(ctx context.Context) (*Joining, error) {
	d, err := a.newDevice()
	if err != nil {
		return nil, err
	}
	l, ke1, err := opaque.StartLogin(a.Handle, a.password)
	if err != nil {
		return nil, err
	}
	ke2, err := a.host.account.StartLogin(ctx, &resealv1.StartLoginRequest{Handle: string(a.Handle), Ke1: ke1})
	if err != nil {
		return nil, err
	}
	result, err := l.Finish(ke2.Ke2)
	if err != nil {
		return nil, err
	}
	d.session = result.Session
	hash := result.Session.Hash()
	resp, err := a.host.account.FinishLogin(ctx, &resealv1.FinishLoginRequest{State: ke2.State, Ke3: result.KE3, SessionHash: hash[:]})
	if err != nil {
		return nil, err
	}
	j := &Joining{device: d}
	if _, err := capsule.Open(resp.Capsules.GetCapsule(), result.Export, capsule.Place{Account: a.ID, Credential: resp.Credential}); err != nil {
		return nil, err
	}
	next, err := identity.AddDevice(a.List, d.entry(), now())
	if err != nil {
		return nil, err
	}
	if j.list, err = identity.SignList(next, a.keys.Account); err != nil {
		return nil, err
	}
	return j, j.prepare(ctx, resp.Revision)
}

func (j *Joining) prepare(ctx context.Context, revision uint64) error {
	d := j.device
	certified, err := d.certified(ctx)
	if err != nil {
		return err
	}
	share, err := d.newShare()
	if err != nil {
		return err
	}
	capsules, err := d.capsules(j.list)
	if err != nil {
		return err
	}
	j.req = &resealv1.AddDeviceRequest{
		Revision: revision, List: j.list.Bytes(), Certified: certified, Share: share, Capsules: capsules, DeviceId: d.ID[:],
	}
	return nil
}

// Version is that of the list that has the device in it.
func (j *Joining) Version() uint64 { return j.list.List.Version }

// Join puts the device into the account's list, in a session of its own.
func (j *Joining) Join(ctx context.Context) (*Device, error) {
	d := j.device
	conn, err := d.host.dial(ctx, d.token())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	resp, err := callsOver(conn).account.AddDevice(ctx, j.req)
	if err != nil {
		return nil, err
	}
	d.List, d.revision = j.list, resp.Revision
	d.Devices = append(d.Devices, d)
	return d, nil
}
