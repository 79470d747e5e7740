package vault

import (
	"fmt"
	"io"

	"github.com/reseal/reseal/capsule"
)

// Create makes an account's section, empty, sealed under a fresh local share
// and the given server share, and opens it. It is durable when Create
// returns, so that it is there before a device is published that needs it.
// ErrExists if Find would find one.
//
// No slot that may hold a section is ever written over: the file's own count
// of slots taken says which are free. The taken ones are then shuffled.
func (v *Vault) Create(key capsule.RowKey, share capsule.Share) (*Section, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.find(key, currentTag)) > 0 {
		return nil, ErrExists
	}
	var n nonce
	var local localShare
	for _, b := range [][]byte{n[:], local[:]} {
		if _, err := io.ReadFull(v.rand, b); err != nil {
			return nil, err
		}
	}
	h := makeHead(n, currentTag(key, n), markOf(share, n), local)
	s := newSection(v, &h, rowID(key, n), share)
	p, err := v.withSlot(&h, s)
	if err == nil {
		err = v.rewrite(p)
	}
	if err != nil {
		s.wipe()
		return nil, err
	}
	v.open[n] = s
	return s, nil
}

// withSlot is the file with one more section.
func (v *Vault) withSlot(h *head, s *Section) (plan, error) {
	p := v.plan()
	at := p.header.taken
	if at == maxSlots {
		return plan{}, fmt.Errorf("%w: no room for another section", ErrTooLarge)
	}
	if at == p.header.slots {
		p.header.slots *= 2
	}
	p.header.taken++
	for len(p.slots) < p.header.slots {
		d, err := v.decoy()
		if err != nil {
			return plan{}, err
		}
		p.slots = append(p.slots, piece{head: d, from: -1})
	}
	p.slots[at] = piece{head: *h, body: sealContent(s.keys, h, p.header.size, s.records), from: -1}
	return p, v.shuffle(p.slots[:p.header.taken])
}

// shuffle hides in which order sections were made (Fisher and Yates).
func (v *Vault) shuffle(slots []piece) error {
	for i := len(slots) - 1; i > 0; i-- {
		j, err := v.below(i + 1)
		if err != nil {
			return err
		}
		slots[i], slots[j] = slots[j], slots[i]
	}
	return nil
}
