package reseal

import (
	"context"
	"errors"
	"fmt"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/book"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/identity"
)

// newborn is a device that is being made: its keys, and its section, which is
// durable before anything is published.
type newborn struct {
	id      identity.DeviceID
	key     identity.DeviceKey
	share   capsule.Share
	sealed  []byte
	section *vault.Section
	epoch   *client.EpochKeys
}

// bear makes a device's keys and its section. Its records are put in by birth,
// once the list is known.
func (in *Installation) bear(row capsule.RowKey, k capsule.ShareKey, a identity.AccountID) (*newborn, error) {
	n := new(newborn)
	var err error
	if n.id, err = identity.NewDeviceID(in.o.Rand); err != nil {
		return nil, err
	}
	if n.key, err = identity.NewDeviceKey(in.o.Rand); err != nil {
		return nil, err
	}
	if n.epoch, err = client.FirstEpoch(a, n.id, n.key, 1, in.now(), in.o.Rand); err != nil {
		return nil, err
	}
	n.epoch.Published = true
	if n.share, err = capsule.NewShare(in.o.Rand); err != nil {
		return nil, err
	}
	if n.section, err = in.vault.Create(row, n.share); err != nil {
		return nil, vaultError(err)
	}
	if n.sealed, err = n.share.Seal(in.o.Rand, k, a, n.section.Row()); err != nil {
		_ = n.section.Erase()
		return nil, err
	}
	return n, nil
}

// birth stores the device's first records.
func (n *newborn) birth(b client.Birth) error {
	b.Device, b.Key, b.Epoch = n.id, n.key, n.epoch
	row := n.section.Row()
	b.Row = row[:]
	batch, err := b.Records()
	if err != nil {
		return err
	}
	return vaultError(n.section.Commit(vaultBatch(batch)))
}

func vaultBatch(b client.Batch) vault.Batch {
	v := make(vault.Batch, len(b))
	for i, w := range b {
		v[i] = vault.Write{Name: w.Name, Value: w.Value}
	}
	return v
}

func (n *newborn) apiShare() *resealv1.Share {
	row := n.section.Row()
	return &resealv1.Share{Row: row[:], ShareId: n.share.ID[:], Sealed: n.sealed}
}

// certified proves to the server that the epoch key is held.
func (n *newborn) certified(ctx context.Context, r *remoteServer) (*resealv1.Certified, error) {
	cert := n.epoch.Certificate
	resp, err := repeat(ctx, r.account.ChallengeEpoch, &resealv1.ChallengeEpochRequest{Certificate: cert.Bytes()})
	if err != nil {
		return nil, err
	}
	if len(resp.Enc) != identity.EncSize {
		return nil, as(ErrServer, fmt.Errorf("epoch certificate of device %s: malformed challenge", n.id))
	}
	answer, err := identity.Answer(n.epoch.Key, [identity.EncSize]byte(resp.Enc), cert.Hash())
	if err != nil {
		return nil, as(ErrServer, fmt.Errorf("epoch certificate of device %s: challenge: %w", n.id, err))
	}
	return &resealv1.Certified{Certificate: cert.Bytes(), ChallengeState: resp.State, ChallengeAnswer: answer[:]}, nil
}

// newDevice makes a device of an account that has no section here: the section
// is made durable first, then list, certificate and share are published in one
// batch. A conflict applies the intent anew to the newest list.
func (in *Installation) newDevice(ctx context.Context, c *credentials) (s *vault.Section, share []byte, dropped identity.DeviceID, err error) {
	n, err := in.bear(c.capsule.Row, c.capsule.Share, c.account)
	if err != nil {
		return nil, nil, dropped, err
	}
	for range 16 {
		share, dropped, err = in.publishDevice(ctx, c, n)
		if refusal.Reason(err) != resealv1.Reason_REASON_CONFLICT {
			break
		}
		if err = c.refresh(ctx, n.section.Row()); err != nil {
			break
		}
	}
	if err != nil {
		return nil, nil, dropped, n.giveUp(err)
	}
	return n.section, share, dropped, nil
}

// giveUp ends a device that could not be published. After a definite refusal
// nothing refers to its section, and it goes; where the outcome is unknown it
// stays: the next login finds it with its share, or sets it aside. A session
// that has ended says nothing about an earlier try (the password changed).
func (n *newborn) giveUp(err error) error {
	if refusal.Passing(err) || isSessionEnd(err) {
		return errors.Join(err, n.section.Close())
	}
	return errors.Join(err, n.section.Erase())
}

func (in *Installation) publishDevice(ctx context.Context, c *credentials, n *newborn) (share []byte, dropped identity.DeviceID, err error) {
	d := identity.Device{ID: n.id, Key: n.key.Public(), AddedAt: in.now(), Class: identity.Native, How: c.how}
	next, err := identity.AddDevice(c.list, d, in.now())
	if errors.Is(err, identity.ErrFull) {
		dropped = identity.OldestDevice(c.list, c.certs)
		next, err = identity.AddDeviceDropping(c.list, d, dropped, in.now())
	}
	if err != nil {
		return nil, dropped, fmt.Errorf("reseal: device list: %w", err)
	}
	if err := in.raiseBook(ctx, c, &next); err != nil {
		return nil, dropped, err
	}
	l, err := identity.SignList(next, c.capsule.Account)
	if err != nil {
		return nil, dropped, err
	}
	key := c.capsule.Book.Bytes()
	if err := n.birth(client.Birth{
		Account: c.account, Handle: string(c.handle), BookKey: key[:], List: l.Bytes(), Now: in.now(),
	}); err != nil {
		return nil, dropped, err
	}
	capsules, err := in.capsules(c, l)
	if err != nil {
		return nil, dropped, err
	}
	certified, err := n.certified(ctx, c.remote)
	if err != nil {
		return nil, dropped, err
	}
	resp, err := repeat(ctx, c.remote.account.AddDevice, &resealv1.AddDeviceRequest{
		Revision: c.revision, List: l.Bytes(), Certified: certified, Share: n.apiShare(), Capsules: capsules, DeviceId: n.id[:],
	})
	if err != nil {
		return nil, dropped, err
	}
	return resp.SessionShare, dropped, nil
}

// raiseBook puts the newest book's version and hash into the list that is to be
// signed: the floor against a server that rolls the book back.
func (in *Installation) raiseBook(ctx context.Context, c *credentials, l *identity.DeviceList) error {
	resp, err := c.remote.account.GetBook(ctx, &resealv1.GetBookRequest{})
	if err != nil {
		return err
	}
	version := resp.GetBook().GetVersion()
	floor := max(l.BookVersion, c.capsule.BookHead.Version)
	if version < floor {
		return as(ErrServer, errors.New("contact book older than the one that was signed"))
	}
	if version == 0 {
		return nil
	}
	_, hash, err := book.Load(c.capsule.Book, c.account, version, resp.Book.Parts)
	if errors.Is(err, book.ErrVersion) {
		return nil // a newer program's: the floor stays where it is
	}
	if err != nil {
		return as(ErrServer, fmt.Errorf("contact book: %w", err))
	}
	for _, known := range []capsule.Head{{Version: l.BookVersion, Hash: l.BookHash}, c.capsule.BookHead} {
		if version == known.Version && [32]byte(hash) != known.Hash {
			return as(ErrServer, errors.New("contact book is not the one that was signed"))
		}
	}
	l.BookVersion, l.BookHash = version, [32]byte(hash)
	return nil
}
