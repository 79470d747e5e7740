package reseal

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/book"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
)

// recoverAnew rotates the account onto a new device of this installation, by
// the root alone: the copy was destroyed. The section is durable before the
// device is published, as at a login.
func (in *Installation) recoverAnew(ctx context.Context, r *recovery, code RecoveryCode, pass []byte) (*Account, RecoveryCode, Login, error) {
	var none RecoveryCode
	how := Login{NewDevice: true, Rotated: true}
	k, next, err := in.newKeys()
	if err != nil {
		return nil, none, how, err
	}
	k.Account = r.root.Next
	c := r.credentialsOf(k)
	renewed, err := in.renew(r.account, next.Root(k.Account), code, next)
	if err != nil {
		return nil, none, how, err
	}
	record, export, err := in.register(ctx, c, pass)
	if err != nil {
		return nil, none, how, in.changeError(err)
	}
	c.export = export
	c.place.Credential++
	n, err := in.bear(k.Row, k.Share, r.account)
	if err != nil {
		return nil, none, how, err
	}
	var share []byte
	for range 16 {
		if err = c.refresh(ctx, n.section.Row()); err != nil {
			break
		}
		var req *resealv1.RotateRequest
		if req, err = in.rotateOnto(ctx, c, r.root, next, n); err != nil {
			break
		}
		req.OpaqueRecord, req.Recovery = record, renewed.request
		var resp *resealv1.RotateResponse
		if resp, err = repeat(ctx, c.remote.account.Rotate, req); err == nil {
			share = resp.SessionShare
			break
		}
		if refusal.Reason(err) != resealv1.Reason_REASON_CONFLICT {
			if refusal.Passing(err) || isSessionEnd(err) {
				none, err = next, errors.Join(errSent, err)
			}
			break
		}
	}
	if err != nil {
		return nil, none, how, in.changeError(n.giveUp(err))
	}
	a, err := in.logged(in.now(), c.remote, n.section, r.handle, r.account, r.session, share, nil)
	return a, next, how, err
}

// rotateOnto makes the request from what stands at the server now. The book
// begins anew: its key was in the copy.
func (in *Installation) rotateOnto(ctx context.Context, c *credentials, root capsule.Root, code RecoveryCode, n *newborn) (*resealv1.RotateRequest, error) {
	stands, err := repeat(ctx, c.remote.account.ListShares, &resealv1.ListSharesRequest{})
	if err != nil {
		return nil, err
	}
	got, err := repeat(ctx, c.remote.account.GetBook, &resealv1.GetBookRequest{})
	if err != nil {
		return nil, err
	}
	base := got.GetBook().GetVersion()
	sealed, err := new(book.Book).Store(in.o.Rand, c.capsule.Book, c.account, base+1)
	if err != nil {
		return nil, err
	}
	l := c.list.List
	l.Version, l.Prev, l.IssuedAt = l.Version+1, c.list.Hash(), in.now()
	l.Key, l.Next = c.capsule.Account.Public(), code.NextKey().Public().Next()
	l.BookVersion, l.BookHash = sealed.Version, sealed.Hash
	l.Devices = []identity.Device{{ID: n.id, Key: n.key.Public(), AddedAt: in.now(), Class: identity.Native, How: c.how}}
	list, err := identity.SignRotation(l, root.Account, c.capsule.Account)
	if err != nil {
		return nil, err
	}
	key := c.capsule.Book.Bytes()
	if err := n.birth(client.Birth{Account: c.account, Handle: string(c.handle), BookKey: key[:], List: list.Bytes(), Now: in.now()}); err != nil {
		return nil, err
	}
	capsules, err := in.capsules(c, list)
	if err != nil {
		return nil, err
	}
	certified, err := n.certified(ctx, c.remote)
	if err != nil {
		return nil, err
	}
	return &resealv1.RotateRequest{
		Revision: stands.Revision, List: list.Bytes(), Capsules: capsules, BaseVersion: base,
		Rows: []*resealv1.ShareRow{{DeviceId: n.id[:], Shares: []*resealv1.Share{n.apiShare()}}},
		Book: &resealv1.Book{Version: sealed.Version, Parts: sealed.Parts}, DeviceId: n.id[:], Certified: certified,
	}, nil
}
