package mailbox

import (
	"context"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/internal/roster"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// PostReceipt delivers a receipt to every device of both accounts. The server
// cannot check its MAC; it checks that the caller's device is the one that the
// receipt names, and that it comes from the side that may make it.
func (s *Service) PostReceipt(ctx context.Context, req *resealv1.PostReceiptRequest) (*resealv1.PostReceiptResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	rc, err := message.ParseReceipt(req.Receipt)
	if err != nil || len(req.Sender) != 16 || len(req.Recipient) != 16 {
		return nil, refusal.Malformed("receipt")
	}
	if rc.Account != c.Account || rc.Device != c.Device || string(rc.Message[:]) != string(req.MessageId) ||
		!party(c.Account, req.Sender, req.Recipient) {
		return nil, refusal.Malformed("receipt")
	}
	// It may be old, from before an outage, but nothing happens in the future.
	if rc.Time.Sub(s.now()) > MaxSkew {
		return nil, refusal.Clock(s.Now())
	}
	resp, err := s.postReceipt(ctx, c, req, rc)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.count("receipts", rc.What.String())
	return resp, nil
}

func (s *Service) postReceipt(ctx context.Context, c caller.Caller, req *resealv1.PostReceiptRequest, rc message.Receipt) (*resealv1.PostReceiptResponse, error) {
	sender, recipient := identity.AccountID(req.Sender), identity.AccountID(req.Recipient)
	h, _, end, err := s.header(ctx, rc.Message, sender, recipient)
	if err != nil {
		return nil, err
	}
	if end != nil {
		// It may be this very receipt, from before a crash: finish what follows.
		if e, err := message.ParseEndRecord(end); err == nil && string(e.Receipt) == string(req.Receipt) {
			if err := s.repeated(c, otherParty(c.Account, sender, recipient)); err != nil {
				return nil, err
			}
			return &resealv1.PostReceiptResponse{}, s.afterEnd(ctx, sender, recipient, e, req.Receipt)
		}
		return &resealv1.PostReceiptResponse{End: end}, nil
	}
	if rc.Fits(h) != nil {
		return nil, refusal.Malformed("receipt")
	}
	resp := &resealv1.PostReceiptResponse{}
	if state, ends := rc.What.Ends(); ends {
		resp, err = s.end(ctx, h, rc, req.Receipt, state)
	} else {
		err = s.spread(ctx, c, h, rc, req.Receipt)
	}
	if err != nil {
		return nil, err
	}
	return resp, s.acquaint(ctx, c.Account, otherParty(c.Account, sender, recipient))
}

// spread stores a receipt in both accounts' partitions and tells their devices.
func (s *Service) spread(ctx context.Context, c caller.Caller, h message.Header, rc message.Receipt, raw []byte) error {
	key := records.ReceiptKey(rc.Message, rc.Device, rc.What)
	extra := append(append([]byte(nil), rc.Device[:]...), byte(rc.What))
	row := row{entry: records.Entry{Kind: records.EntryReceipt, Message: rc.Message, Extra: extra}, at: rc.Time}
	again := false
	for _, a := range parties(h.Sender, h.Recipient) {
		p := records.MessagePartition(a, rc.Message)
		to, err := s.others(ctx, a, rc.Device)
		if err != nil {
			return err
		}
		there, err := s.get(ctx, p, key)
		if err != nil {
			return err
		}
		// The first one stands; a repeat with another time changes nothing.
		if there != nil && !again {
			again = true
			if err := s.repeated(c, otherParty(c.Account, h.Sender, h.Recipient)); err != nil {
				return err
			}
		}
		if there == nil {
			b := new(store.Batch).PutOnce(key, raw, int64(h.Expires))
			s.enqueue(b, to, row, h.Expires)
			if err := s.commit(ctx, p, b); err != nil {
				return err
			}
		}
		s.wake(a, rc.Message.Day(), to, row)
	}
	return nil
}

// others are the devices of an account but one; none where the account is
// closed.
func (s *Service) others(ctx context.Context, a identity.AccountID, but identity.DeviceID) ([]identity.DeviceID, error) {
	r, err := roster.Read(ctx, s.Store, a)
	if errors.Is(err, roster.ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return devices(r, but), nil
}

// parties are a message's accounts: two, or one to itself.
func parties(sender, recipient identity.AccountID) []identity.AccountID {
	if sender == recipient {
		return []identity.AccountID{sender}
	}
	return []identity.AccountID{recipient, sender}
}

// party tells whether an account is one of a message's two.
func party(a identity.AccountID, sender, recipient []byte) bool {
	return string(a[:]) == string(sender) || string(a[:]) == string(recipient)
}

// otherParty is the other one of a message's two accounts.
func otherParty(a, sender, recipient identity.AccountID) identity.AccountID {
	if a == sender {
		return recipient
	}
	return sender
}
