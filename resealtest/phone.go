package resealtest

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reseal/reseal"
)

// url is a loopback address where nothing listens, so that who forgets
// Options.HTTP is told that no server answers.
const url = "http://127.0.0.1:1"

// Phone is a machine with a folder, a network and a clock.
type Phone struct {
	w     *World
	dir   string
	line  line
	ahead atomic.Int64

	mu sync.Mutex
	in *reseal.Installation // nil while it is off
}

// Dir is the folder for the app's installation.
func (p *Phone) Dir() string { return p.dir }

// Options are what the app opens its installation with, on this phone.
func (p *Phone) Options() reseal.Options {
	return reseal.Options{
		Server: url, Now: p.now,
		HTTP: &http.Client{Transport: &http.Transport{DialContext: p.line.Dial}},
	}
}

func (p *Phone) now() time.Time { return p.w.Now().Add(time.Duration(p.ahead.Load())) }

// Installation is the phone's own installation, opened if it is not yet. It is
// not for apps that open the folder themselves.
func (p *Phone) Installation() *reseal.Installation {
	p.w.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in == nil {
		var err error
		if p.in, err = reseal.Open(p.dir, p.Options()); err != nil {
			p.w.t.Fatalf("resealtest: %v", err)
		}
	}
	return p.in
}

func (p *Phone) close() error {
	p.mu.Lock()
	in := p.in
	p.in = nil
	p.mu.Unlock()
	if in == nil {
		return nil
	}
	return in.Close()
}

// CutOff takes the network away: connections end, and new ones fail at once. It
// returns when the accounts of the phone's own installation have noticed.
func (p *Phone) CutOff() {
	p.w.t.Helper()
	p.line.set(true)
	for end := time.Now().Add(patience); len(p.accounts((*reseal.Account).Connected)) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.w.t.Fatalf("resealtest: a phone without a network stays connected")
		}
	}
}

// Reconnect brings the network back, and wakes the accounts of the phone's own
// installation. An app wakes its own.
func (p *Phone) Reconnect() {
	p.line.set(false)
	for _, a := range p.accounts(func(*reseal.Account) bool { return true }) {
		a.Wake()
	}
}

// accounts are those of the phone's own installation that are so.
func (p *Phone) accounts(so func(*reseal.Account) bool) []*reseal.Account {
	p.mu.Lock()
	in := p.in
	p.mu.Unlock()
	if in == nil {
		return nil
	}
	return slices.DeleteFunc(in.Accounts(), func(a *reseal.Account) bool { return !so(a) })
}

// Slow makes everything that goes over the network take delay, and besides as
// long as its bytes need at that many a second; 0 for no bound. Slow(0, 0) ends
// it.
func (p *Phone) Slow(delay time.Duration, bytesPerSecond int) { p.line.slow(delay, bytesPerSecond) }

// SetClock makes the phone's clock wrong by so much; negative for behind.
func (p *Phone) SetClock(ahead time.Duration) { p.ahead.Store(int64(ahead)) }

// PowerOff closes the phone's own installation: keys leave the memory, accounts
// stay logged in.
func (p *Phone) PowerOff() {
	p.w.t.Helper()
	if err := p.close(); err != nil {
		p.w.t.Fatalf("resealtest: %v", err)
	}
}

// Device is somebody's account on this phone, beside those that are there.
// Whom nobody knows yet signs up; everybody else logs in.
func (p *Phone) Device(handle string) *Device {
	p.w.t.Helper()
	p.w.mu.Lock()
	known := p.w.people[handle] != nil
	p.w.mu.Unlock()
	d := &Device{Phone: p, handle: handle}
	if known {
		d.LogIn()
		return d
	}
	ctx, cancel := within()
	defer cancel()
	a, code, err := p.Installation().SignUp(ctx, handle, p.w.Password(handle))
	if err != nil {
		p.w.t.Fatalf("resealtest: sign up %s: %v", handle, err)
	}
	d.Account = a
	p.w.mu.Lock()
	p.w.people[handle] = &person{d, code}
	p.w.mu.Unlock()
	d.online()
	return d
}
