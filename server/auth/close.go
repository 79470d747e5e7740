package auth

import (
	"context"
	"errors"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

const (
	// HandleHeld is how long the handle of a closed account names nobody and is
	// given to nobody: who wrote to it shall not write to a stranger.
	HandleHeld = 30 * 24 * time.Hour
	// goneLife is how long the empty records of a closed account stay, for
	// nodes whose clocks differ; then the store forgets them too.
	goneLife = 10 * time.Second
	// messageDays is how many days back a partition may still have records of
	// messages: 30, the end records' one, and one for the day itself.
	messageDays = 33
)

// CloseAccount deletes everything of the caller's account. What its password
// opens goes last, and in one batch: whatever a crash leaves before that, the
// owner can log in and close the account again, and after it nobody can.
func (s *Service) CloseAccount(ctx context.Context, _ *resealv1.CloseAccountRequest) (*resealv1.CloseAccountResponse, error) {
	c, err := fresh(ctx)
	if err != nil {
		return nil, err
	}
	err = s.closeRepeatedly(ctx, func() error {
		a, err := s.readAs(ctx, c)
		if err != nil {
			return err
		}
		return s.closeAccount(ctx, a, c.Session)
	})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Counter.Count("passwords", "closed")
	return &resealv1.CloseAccountResponse{}, nil
}

// closeAccount keeps one session to the last: the one that asks.
func (s *Service) closeAccount(ctx context.Context, a *account, session [32]byte) error {
	h := handle.Handle(a.pw.Handle)
	held := int64(s.now().Add(HandleHeld))
	if err := s.holdHandle(ctx, h, a.id, held, false); err != nil {
		return err
	}
	if err := s.deleteDays(ctx, a.id); err != nil {
		return err
	}
	if err := s.deleteRecords(ctx, a.id, session); err != nil {
		return err
	}
	token, err := store.NewToken(s.Rand)
	if err != nil {
		return err
	}
	until := int64(s.now().Add(goneLife))
	b := new(store.Batch).
		RevIs(records.Pw, a.rev).Gone(records.Pw, token, until).
		RevIs(records.List, a.listRev).Gone(records.List, token, until)
	if err := s.commit(ctx, a.id, b, token); err != nil {
		return err
	}
	// Once more: what other sessions wrote meanwhile. They are dead by now.
	s.listChanged(a.id)
	return errors.Join(s.deleteDays(ctx, a.id), s.deleteRecords(ctx, a.id, [32]byte{}), s.holdHandle(ctx, h, a.id, held, true))
}

// holdHandle gives the handle's record an end; with empty it names nobody any
// more.
func (s *Service) holdHandle(ctx context.Context, h handle.Handle, id identity.AccountID, until int64, empty bool) error {
	p := records.HandlePartition(string(h))
	rec, err := s.Store.Get(ctx, p, records.HandleID)
	if errors.Is(err, store.ErrAbsent) || (err == nil && rec.Gone()) {
		return nil
	}
	if err != nil {
		return err
	}
	named, err := records.ParseAccount(rec.Value)
	if err != nil || named != id {
		return err
	}
	token, err := store.NewToken(s.Rand)
	if err != nil {
		return err
	}
	b := new(store.Batch).Replace(records.HandleID, rec.Rev, rec.Value, token, until)
	if empty {
		b = new(store.Batch).RevIs(records.HandleID, rec.Rev).Gone(records.HandleID, token, until)
	}
	return s.Store.Commit(ctx, p, b)
}

// deleteRecords deletes everything in the account's partition but the password
// record, the list, and one session.
func (s *Service) deleteRecords(ctx context.Context, id identity.AccountID, but [32]byte) error {
	return s.deleteAll(ctx, records.AccountPartition(id), func(rec store.Record) (bool, error) {
		return rec.Key != records.Pw && rec.Key != records.List && rec.Key != records.SessionKey(but), nil
	})
}

// deleteDays deletes what waits for the account, and its own copies. What it
// sent lies with those whom it was sent to.
func (s *Service) deleteDays(ctx context.Context, id identity.AccountID) error {
	today := s.now().Day()
	for day := today - messageDays; day <= today+1; day++ {
		if err := s.deleteAll(ctx, records.DayPartition(id, day), func(rec store.Record) (bool, error) {
			return true, s.dropBlob(ctx, id, rec)
		}); err != nil {
			return err
		}
	}
	return nil
}

// dropBlob drops the reference of a message that nobody can fetch any more.
func (s *Service) dropBlob(ctx context.Context, id identity.AccountID, rec store.Record) error {
	mid, ok := records.MessageOfKey(rec.Key)
	if !ok || rec.Key != records.MessageKey(mid) {
		return nil
	}
	m, err := records.ParseMessage(rec.Value)
	if err != nil {
		return err
	}
	h, err := message.ParseHeader(m.Header)
	if err != nil || h.Recipient != id || h.Blob.IsZero() {
		return err
	}
	return s.Blobs.DropReference(ctx, h.Blob, h.Sender, mid)
}

// deleteAll deletes the records of a partition that which says yes to.
func (s *Service) deleteAll(ctx context.Context, p store.Partition, which func(store.Record) (bool, error)) error {
	until := int64(s.now().Add(goneLife))
	once, decided := new(store.Batch), new(store.Batch)
	flush := func(b **store.Batch) error {
		full := *b
		*b = new(store.Batch)
		if len(full.Writes) == 0 {
			return nil
		}
		return s.Store.Commit(ctx, p, full)
	}
	for rec, err := range store.Scan(ctx, s.Store, p, "", "", false) {
		if err != nil {
			return err
		}
		if rec.Gone() {
			continue
		}
		if yes, err := which(rec); err != nil {
			return err
		} else if !yes {
			continue
		}
		kind, err := records.Schema.KindOf(rec.Key)
		if err != nil {
			return err
		}
		if kind == store.Once {
			if once.DeleteOnce(rec.Key); len(once.Writes) == store.MaxWrites {
				err = flush(&once)
			}
		} else {
			token, e := store.NewToken(s.Rand)
			if e != nil {
				return e
			}
			if decided.RevIs(rec.Key, rec.Rev).Gone(rec.Key, token, until); len(decided.Conditions) == store.MaxConditions {
				err = flush(&decided)
			}
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(flush(&once), flush(&decided))
}
