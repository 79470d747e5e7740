package blob

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// AddReference makes the blob live at least until the message expires or
// [Service.DropReference] is called. Account is the one whose message it is; the
// same call may be repeated. Once AddReference returned nil, the collector does
// not take the blob. Errors: ErrNotFound if there is no such blob (any more), and
// it must be uploaded again, or if c is not its capability, since who merely
// heard of a blob shall not keep it alive; ErrMalformed for an expiry that has
// passed; ErrUnavailable.
func (s *Service) AddReference(ctx context.Context, b message.BlobID, c Capability, account identity.AccountID, id message.ID, expires identity.Time) error {
	if b.IsZero() || expires <= s.now() {
		return fmt.Errorf("%w: reference without blob or past its expiry", ErrMalformed)
	}
	until := expires.Add(RefSlack)
	for range tries {
		st, rev, err := s.liveState(ctx, b)
		if err != nil {
			return err
		}
		if !st.Capability.opens(c) {
			return ErrNotFound
		}
		// Before the reference, so that none ends unnoticed.
		d := due{Blob: b, Reason: dueExpiry, At: until.Add(2 * store.ClockTolerance), Object: st.Object}
		d.Nonce = refNonce(st.Object, account, id, expires)
		if err := s.remind(ctx, d); err != nil {
			return err
		}
		batch := under(rev).PutOnce(keyRef(account, id), []byte{recordVersion}, int64(until))
		err = s.Store.Commit(ctx, partBlob(b), batch)
		if err == nil {
			return nil
		}
		// Unknown is not good enough: nothing counts until a repeat of it was
		// acknowledged.
		if err := lookAgain(err); err != nil {
			return err
		}
	}
	return ErrUnavailable
}

// refNonce is the same in a repeat, so that one reference has one reminder.
func refNonce(o Object, account identity.AccountID, id message.ID, expires identity.Time) (n [16]byte) {
	h := sha256.New()
	h.Write(o[:])
	h.Write(account[:])
	h.Write(id[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(expires)))
	copy(n[:], h.Sum(nil))
	return n
}

// liveState reads the state of a blob that may be referred to. A blob that a
// collector left dying is first brought to an end, either way.
func (s *Service) liveState(ctx context.Context, b message.BlobID) (*state, uint64, error) {
	for range tries {
		st, rev, err := s.readState(ctx, b)
		if err != nil {
			return nil, 0, err
		}
		if st == nil {
			return nil, 0, ErrNotFound
		}
		if st.Phase == live {
			return st, rev, nil
		}
		if err := s.collect(ctx, b, st.Object); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, ErrUnavailable
}

// settled is the state of a blob that is not dying; nil if there is none.
func (s *Service) settled(ctx context.Context, b message.BlobID) (*state, error) {
	st, _, err := s.liveState(ctx, b)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return st, err
}

// DropReference ends what [Service.AddReference] began: the message has ended.
// If it was the last reference, the blob is collected soon. A reference that is
// not there is no error, so the call may be repeated; the same message must not
// be added again after it. Error: ErrUnavailable.
func (s *Service) DropReference(ctx context.Context, b message.BlobID, account identity.AccountID, id message.ID) error {
	st, _, err := s.readState(ctx, b)
	if err != nil {
		return err
	}
	// If we crash before the reminder, the caller has no answer and repeats. A
	// reminder before the delete could be gone before its reason is there.
	if err := s.commit(ctx, partBlob(b), new(store.Batch).DeleteOnce(keyRef(account, id))); err != nil {
		return err
	}
	if st == nil {
		return nil
	}
	nonce, err := newObject(s.Rand)
	if err != nil {
		return err
	}
	if err := s.remind(ctx, due{Blob: b, Reason: dueDropped, Nonce: nonce, At: s.now(), Object: st.Object}); err != nil {
		return err
	}
	select {
	case s.kicks <- kick{b, st.Object}: // only makes it sooner
	default:
	}
	return nil
}
