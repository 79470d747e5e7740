package sim

import (
	"errors"
	"time"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// act plays one act.
func (l *life) act(op Op) {
	a := l.accounts[mod(op.A, len(l.accounts))]
	here := l.here(a)
	running := func(d *device) bool { return d.runs() }
	switch op.Act {
	case Send:
		if d, ok := pick(here, op.B, running); ok {
			l.send(d, op.N)
		}
	case View:
		if d, ok := pick(here, op.B, running); ok {
			l.view(d, op.N)
		}
	case Unsend:
		m, ok := pick(l.sent, op.N, func(m *sent) bool { return m.from.Account == a })
		if d, found := pick(here, op.B, running); ok && found {
			l.unsend(d, m)
		}
	case Join:
		l.join(a)
	case Remove:
		l.remove(a, here, op.B)
	case Logout:
		if d, ok := pick(here, op.B, running); ok {
			d.Stop()
			d.out = true
		}
	case Login:
		if d, ok := pick(here, op.B, func(d *device) bool { return !d.runs() && !d.Ended && l.listed(d) }); ok {
			d.Login()
			d.out = false
		}
	case Lose:
		if d, ok := pick(here, op.B, func(*device) bool { return true }); ok && len(here) > 1 {
			d.Stop()
			d.gone = true
		}
	case Restore:
		l.restore(here, op.B)
	case Kill:
		if d, ok := pick(here, op.B, running); ok {
			d.Start()
		}
	case Cut:
		if d, ok := pick(here, op.B, running); ok {
			d.Disconnect()
		}
	case Plug:
		if d, ok := pick(here, op.B, running); ok {
			d.Connect()
		}
	case Pass:
		l.pass(passes[mod(op.N, len(passes))])
	case Skew:
		if d, ok := pick(here, op.B, running); ok {
			d.Skew = skews[mod(op.N, len(skews))]
		}
	case Accept, Block, Unblock:
		change := map[Act]client.ContactChange{Accept: client.Accept, Block: client.Block, Unblock: client.Unblock}[op.Act]
		if d, ok := pick(here, op.B, running); ok {
			to := l.accounts[mod(op.N, len(l.accounts))]
			_ = d.Do(client.ChangeContact{Account: to.ID, Change: change}) // may be unknown to it
			if op.Act == Block {
				l.shut[[2]*world.Account{a, to}] = true
			}
		}
	case Late:
		l.w.DeliverLate()
		l.w.Release()
	case Work:
		for range op.N % 60 {
			if !l.w.Step() {
				break
			}
			l.watch()
		}
		l.w.Unpark()
	case Far, Drift, Rot, Rotate:
		l.age(op, a, here)
	default:
		l.fault(op, here)
	}
}

// listed tells whether a device is in its account's list.
func (l *life) listed(d *device) bool {
	_, ok := d.Account.List().Find(d.ID)
	return ok
}

func (l *life) send(d *device, n uint32) {
	var to []*world.Account
	for i := range 1 + n%2 {
		a := l.accounts[mod(n>>4+i, len(l.accounts))]
		if a != d.Account && d.TryMeet(a) != nil && !d.Knows(a) || !d.runs() {
			return // the user is told, and tries again some time
		}
		to = append(to, a)
	}
	policy := []message.Policy{message.Once, message.Keep}[n>>8%2]
	life := lives[mod(n>>12, len(lives))]
	all, err := d.TrySend(d.Content(n>>16%3 == 0), policy, life, to...)
	if err != nil {
		if errors.Is(err, client.ErrState) {
			l.fail("%s: send: %v", d.Name, err)
		}
		return
	}
	for _, m := range all {
		l.sent = append(l.sent, &sent{Message: m, policy: policy, from: d, expires: d.Now().Time().Add(life)})
	}
}

// view begins to open a message. A refusal is an answer.
func (l *life) view(d *device, n uint32) {
	in, err := d.Engine.Inbox(d.Now(), false)
	if err != nil {
		l.fail("%s: inbox: %v", d.Name, err)
	}
	m, ok := pick(in, n, func(m client.Message) bool { return m.State == client.IsReady })
	if ok {
		if err := d.Do(client.View{ID: m.ID}); err != nil && errors.Is(err, client.ErrState) {
			l.fail("%s: view: %v", d.Name, err)
		}
	}
}

func (l *life) unsend(d *device, m *sent) {
	if m.know == (message.ID{}) {
		return
	}
	m.unsent = true
	if err := d.Do(client.Unsend{ID: m.know}); errors.Is(err, client.ErrState) {
		l.fail("%s: unsend: %v", d.Name, err)
	}
}

func (l *life) join(a *world.Account) {
	if len(a.List().List.Devices) >= 6 || len(l.devices) > 14 {
		return
	}
	d := l.add(a.NewDevice())
	for range 5 { // a user tries again
		err := d.Join()
		if err == nil {
			d.Start()
			if l.plan.Disks > 0 {
				d.Vault()
			}
			return
		}
		l.w.Release()
		d.Again()
	}
	d.gone = true
}

func (l *life) remove(a *world.Account, here []*device, n uint32) {
	if len(a.List().List.Devices) < 2 {
		return
	}
	if d, ok := pick(here, n, l.listed); ok {
		healthy := l.healthy
		l.healthy = true
		a.Remove(d.Device)
		l.healthy = healthy
	}
}

// restore puts a device back to what an earlier copy of its folder had, or makes
// the copy.
func (l *life) restore(here []*device, n uint32) {
	d, ok := pick(here, n, func(d *device) bool { return d.runs() })
	if !ok {
		return
	}
	if d.old == nil {
		d.old = d.Copy()
		return
	}
	d.Stop()
	d.PutBack(d.old)
	d.old, d.restored = nil, true
	l.witness.forget(d)
	d.Start()
}

// heal ends all faults, brings everybody online who can be, and lets a minute
// pass.
func (l *life) heal() {
	l.at = len(l.plan.Ops)
	l.healthy = true
	l.w.Settle()
	l.w.DeliverLate()
	for _, d := range l.devices {
		if d.gone {
			continue
		}
		d.Skew = 0
		switch {
		case !l.listed(d):
		case d.Ended || d.out:
			d.Login()
			d.out = false
		case !d.runs():
			d.Start()
		default:
			d.Connect()
		}
	}
	for range 4 {
		l.w.Run()
		l.watch()
		l.w.Advance(15 * time.Second)
		l.watch()
	}
}
