package resealtest

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/reseal/reseal"
)

// Device is somebody's account on a phone.
type Device struct {
	*Phone
	// Account is replaced by LogIn and PowerOn.
	*reseal.Account
	handle string
}

func (d *Device) online() {
	d.w.t.Helper()
	ctx, cancel := within()
	defer cancel()
	if err := d.Account.Online(ctx); err != nil {
		d.w.t.Fatalf("resealtest: %s connects: %v", d.handle, err)
	}
}

// LogIn logs in at the phone again, and waits until what waits is there.
func (d *Device) LogIn() {
	d.w.t.Helper()
	ctx, cancel := within()
	defer cancel()
	a, _, err := d.Installation().LogIn(ctx, d.handle, d.w.Password(d.handle))
	if err != nil {
		d.w.t.Fatalf("resealtest: log in %s: %v", d.handle, err)
	}
	d.Account = a
	d.online()
}

// LogOut logs out: the keys leave the memory, the section is sealed. The device
// stays in the account's list.
func (d *Device) LogOut() {
	d.w.t.Helper()
	ctx, cancel := within()
	defer cancel()
	if _, err := d.Account.LogOut(ctx, reseal.LogOutOptions{}); err != nil {
		d.w.t.Fatalf("resealtest: log out %s: %v", d.handle, err)
	}
}

// Hop logs out here and logs in on a new phone, as a device that has no keys of
// what was sent before.
func (d *Device) Hop() *Device {
	d.w.t.Helper()
	d.LogOut()
	return d.w.Device(d.handle)
}

// PowerOn opens the phone's installation again after PowerOff; nobody types a
// password.
func (d *Device) PowerOn() {
	d.w.t.Helper()
	ctx, cancel := within()
	defer cancel()
	in := d.Installation()
	_, err := in.Resume(ctx)
	a, ok := in.Account(d.handle)
	if !ok {
		d.w.t.Fatalf("resealtest: %s is not logged in any more: %v", d.handle, err)
	}
	d.Account = a
	d.online()
}

// Remove removes this device from its account, from another phone: the device
// learns it at its next contact, and its section opens never again.
func (d *Device) Remove() {
	d.w.t.Helper()
	other := d.w.Device(d.handle)
	ctx, cancel := within()
	defer cancel()
	if err := other.RemoveDevice(ctx, d.Account.Device(), d.w.Password(d.handle)); err != nil {
		d.w.t.Fatalf("resealtest: remove a device of %s: %v", d.handle, err)
	}
	if err := other.close(); err != nil {
		d.w.t.Fatalf("resealtest: %v", err)
	}
}

// Text sends a text that is gone after its first view, and returns its id.
func (d *Device) Text(body string, to ...string) reseal.MessageID {
	d.w.t.Helper()
	return d.post(reseal.Outgoing{To: to, Text: body})
}

// Keep sends a text that stays, and returns its id.
func (d *Device) Keep(body string, to ...string) reseal.MessageID {
	d.w.t.Helper()
	return d.post(reseal.Outgoing{To: to, Text: body, Policy: reseal.Keep})
}

func (d *Device) post(o reseal.Outgoing) reseal.MessageID {
	d.w.t.Helper()
	ctx, cancel := within()
	defer cancel()
	sent, err := d.Send(ctx, o)
	if err != nil {
		d.w.t.Fatalf("resealtest: %s sends: %v", d.handle, err)
	}
	return sent[0].Message
}

// Await waits until the device has a message in a state.
func (d *Device) Await(id reseal.MessageID, want reseal.MessageState) {
	d.w.t.Helper()
	ctx, cancel := within()
	defer cancel()
	for {
		m, err := d.Find(ctx, id.String())
		switch {
		case err == nil && m.State == want:
			return
		case err != nil && !errors.Is(err, reseal.ErrUnknownMessage):
			d.w.t.Fatalf("resealtest: %s looks for a message: %v", d.handle, err)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			d.w.t.Fatalf("resealtest: on %s's phone the message is %q, not %q: %v", d.handle, m.State, want, context.Cause(ctx))
		}
	}
}

// Read waits until a message can be opened, opens it, and returns its content.
func (d *Device) Read(id reseal.MessageID) string {
	d.w.t.Helper()
	d.Await(id, reseal.StateReady)
	ctx, cancel := within()
	defer cancel()
	var body []byte
	if err := d.Open(ctx, id, func(c reseal.Content) (err error) {
		body, err = io.ReadAll(c.Reader)
		return err
	}, nil); err != nil {
		d.w.t.Fatalf("resealtest: %s opens a message: %v", d.handle, err)
	}
	return string(body)
}
