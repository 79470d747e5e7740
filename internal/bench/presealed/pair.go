package presealed

import (
	"crypto/rand"
	"errors"

	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/wrap"
)

// Pair is a letter from one account to another with some devices, that no server
// knows: for measuring wraps alone. Its methods may be used by many goroutines
// at once.
type Pair struct {
	letter *Letter
	sealer *wrap.Sealer
	opener []*wrap.Sealer
}

// NewPair makes a letter to an account with n devices, at most
// [identity.MaxDevices]. Sealers remember their peers, as those of a client do.
func NewPair(n int) (*Pair, error) {
	from, err := stray(1)
	if err != nil {
		return nil, err
	}
	to, err := stray(n)
	if err != nil {
		return nil, err
	}
	p := &Pair{sealer: wrap.NewSealer(from.Devices[0].auth, 0)}
	for _, d := range to.Devices {
		p.opener = append(p.opener, wrap.NewSealer(d.auth, 0))
	}
	p.letter, err = from.Devices[0].Seal(to, 1000)
	return p, err
}

// Wrap wraps the letter's key for device i.
func (p *Pair) Wrap(i int) (message.Wrap, error) {
	l := p.letter
	to := l.to.Devices[i]
	return p.sealer.Seal(l.context(to), to.epoch.Public(), to.auth.Public(), l.header, l.secret)
}

// Open opens a wrap at device i.
func (p *Pair) Open(i int, w message.Wrap) error {
	l := p.letter
	s, err := p.opener[i].Open(w, l.to.Devices[i].epoch, l.from.auth.Public(), l.header)
	if err == nil && s != l.secret {
		err = errors.New("presealed: another key comes out of a wrap")
	}
	return err
}

// stray is an account with n devices that no server knows.
func stray(n int) (*Account, error) {
	a := new(Account)
	var err error
	if a.ID, err = identity.NewAccountID(rand.Reader); err != nil {
		return nil, err
	}
	if a.keys.Account, err = identity.NewAccountKey(rand.Reader); err != nil {
		return nil, err
	}
	if a.code, err = capsule.NewRecoveryCode(rand.Reader); err != nil {
		return nil, err
	}
	for range n {
		d, err := a.newDevice()
		if err != nil {
			return nil, err
		}
		var l identity.DeviceList
		if a.List == nil {
			l = identity.FirstList(a.ID, a.keys.Account.Public(), a.code.NextKey().Public().Next(), d.entry(), now())
		} else if l, err = identity.AddDevice(a.List, d.entry(), now()); err != nil {
			return nil, err
		}
		if a.List, err = identity.SignList(l, a.keys.Account); err != nil {
			return nil, err
		}
		a.Devices = append(a.Devices, d)
	}
	return a, nil
}
