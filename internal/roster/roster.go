// Package roster reads what an account signed about itself out of the store:
// its newest device list, the rotations before it, and the newest certificate
// of each device. The directory hands it to clients; the mailbox looks at it a
// second time after every send.
package roster

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// ErrUnknown: there is no such account.
var ErrUnknown = errors.New("roster: no such account")

// Roster is an account at one moment.
type Roster struct {
	List *identity.SignedList
	// Newest has the newest certificate of every device that has one.
	Newest map[identity.DeviceID]*identity.SignedCertificate
}

// Read returns the account's roster as it is now. What was committed before
// Read was called is in it.
func Read(ctx context.Context, s store.Store, a identity.AccountID) (*Roster, error) {
	p := records.AccountPartition(a)
	r := &Roster{Newest: map[identity.DeviceID]*identity.SignedCertificate{}}
	err := store.View(ctx, s, p, records.List, func(rec store.Record) (err error) {
		if rec.Gone() {
			return ErrUnknown
		}
		if r.List, err = List(rec.Value); err != nil {
			return fmt.Errorf("roster: stored list: %w", err)
		}
		return nil
	})
	if errors.Is(err, store.ErrAbsent) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	for _, d := range r.List.List.Devices {
		c, err := newest(ctx, s, p, d.ID)
		if err != nil {
			return nil, err
		}
		if c != nil {
			r.Newest[d.ID] = c
		}
	}
	return r, nil
}

// newest finds the certificate with the highest epoch; the values of the
// others are not read.
func newest(ctx context.Context, s store.Store, p store.Partition, d identity.DeviceID) (*identity.SignedCertificate, error) {
	prefix := records.CertsOf(d)
	keys, err := s.Range(ctx, p, prefix, store.PrefixEnd(prefix), store.MaxPage, true)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	return certificate(ctx, s, p, keys[len(keys)-1].Key)
}

// certificate is nil where there is none.
func certificate(ctx context.Context, s store.Store, p store.Partition, k store.Key) (c *identity.SignedCertificate, err error) {
	err = store.View(ctx, s, p, k, func(rec store.Record) (err error) {
		if c, err = certificates.read(rec.Value); err != nil {
			return fmt.Errorf("roster: stored certificate: %w", err)
		}
		return nil
	})
	if errors.Is(err, store.ErrAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Certificate reads one certificate, nil where it is not there.
func Certificate(ctx context.Context, s store.Store, a identity.AccountID, d identity.DeviceID, epoch uint64) (*identity.SignedCertificate, error) {
	return certificate(ctx, s, records.AccountPartition(a), records.CertKey(d, epoch))
}

// Keys is the roster as clients get it, with the rotations above a list
// version that the client knows.
func (r *Roster) Keys(ctx context.Context, s store.Store, known uint64) (*resealv1.AccountKeys, error) {
	a := r.List.List.Account
	k := &resealv1.AccountKeys{AccountId: a[:], List: r.List.Bytes()}
	for _, d := range r.List.List.Devices {
		if c := r.Newest[d.ID]; c != nil {
			k.Certificates = append(k.Certificates, c.Bytes())
		}
	}
	p := records.AccountPartition(a)
	rec, err := s.Get(ctx, p, records.Pw)
	if err != nil && !errors.Is(err, store.ErrAbsent) {
		return nil, err
	}
	if err == nil && !rec.Gone() {
		pw, err := records.ParsePassword(rec.Value)
		if err != nil {
			return nil, err
		}
		k.Handle = pw.Handle
	}
	if known+1 >= r.List.List.Version {
		return k, nil
	}
	for rec, err := range store.Scan(ctx, s, p, records.ListKey(known+1), records.ListKey(r.List.List.Version), false) {
		if err != nil {
			return nil, err
		}
		if l, err := List(rec.Value); err == nil && l.Rotation() {
			k.Rotations = append(k.Rotations, bytes.Clone(rec.Value))
		}
	}
	return k, nil
}
