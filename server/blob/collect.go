package blob

import (
	"context"
	"errors"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// collect takes blob b if it still consists of object o and no message refers
// to it. Any number of nodes may do so at once, and at any time: what is still
// needed goes back to live. It returns nil once the blob is known to be settled.
func (s *Service) collect(ctx context.Context, b message.BlobID, o Object) error {
	for range 3 * tries { // three steps, each of which may have to be repeated
		st, rev, err := s.readState(ctx, b)
		if err != nil || st == nil || st.Object != o {
			return err
		}
		// References are looked for only when the blob is dying, even though
		// most reminders find one: a commit of "dying" whose outcome nobody
		// knows any more could take effect after a look that found nothing
		// to do, and would then leave the blob dying. Passing through dying
		// raises the revision, which ends all such commits.
		if st.Phase == live {
			if _, err := s.turn(ctx, b, st, rev, dying); err != nil {
				return err
			}
			continue
		}
		if st.Phase == doomed {
			done, err := s.destroy(ctx, b, st, rev)
			if done || err != nil {
				return err
			}
			continue
		}
		// From here on no reference is added, so one that this range does not
		// find will never be there. What it found is decided under the
		// revision of st before anything is deleted: another collector may
		// have looked before the last reference was dropped, and be about to
		// bring the blob back.
		refs, err := s.Store.Range(ctx, partBlob(b), preRef, store.PrefixEnd(preRef), 1, true)
		if err != nil {
			return unavailable(err)
		}
		if len(refs) == 0 {
			if _, err := s.turn(ctx, b, st, rev, doomed); err != nil {
				return err
			}
			continue
		}
		if done, err := s.turn(ctx, b, st, rev, live); done || err != nil {
			return err
		}
	}
	return ErrUnavailable
}

// turn tries once to change the phase of st. If it neither did nor failed, the
// caller looks again.
func (s *Service) turn(ctx context.Context, b message.BlobID, st *state, rev uint64, p phase) (done bool, err error) {
	token, err := s.token()
	if err != nil {
		return false, err
	}
	next := *st
	next.Phase = p
	err = s.Store.Commit(ctx, partBlob(b), under(rev).Put(keyState, next.encode(), token, 0))
	return err == nil, lookAgain(err)
}

// destroy deletes the bytes of a doomed blob, then says that it is gone. If we
// crash in between, the blob stays doomed and its reminder is still there; the
// bytes are deleted once more, which is no error.
func (s *Service) destroy(ctx context.Context, b message.BlobID, st *state, rev uint64) (done bool, err error) {
	if err := s.Bytes.Delete(st.Object); err != nil {
		return false, err
	}
	if err := s.disown(ctx, st.Account, b, st.Object); err != nil {
		return false, err
	}
	token, err := s.token()
	if err != nil {
		return false, err
	}
	expires := int64(s.now().Add(GoneKept))
	err = s.Store.Commit(ctx, partBlob(b), under(rev).Gone(keyState, token, expires))
	if err == nil {
		count(s.Counters.Collected, 1)
	}
	return err == nil, lookAgain(err)
}

// abandon gives up the upload o of b unless it became the blob. Order: up is
// deleted, then st is touched, then the bytes go. A completion reads st, then
// up, then checks the bytes, and commits under the st it read. If it found up,
// it had read st before our touch, and is refused; or it committed before our
// touch, and the touch is refused and we see the blob.
func (s *Service) abandon(ctx context.Context, account identity.AccountID, b message.BlobID, o Object) error {
	if err := s.commit(ctx, partUploads(account), new(store.Batch).DeleteOnce(keyUp(b, o))); err != nil {
		return err
	}
	for range tries {
		st, rev, err := s.readState(ctx, b)
		if err != nil || st != nil && st.Object == o {
			return err
		}
		// A blob of another object: a completion of o would have to read st
		// anew, and then finds up deleted.
		if st == nil {
			token, err := s.token()
			if err != nil {
				return err
			}
			expires := int64(s.now().Add(GoneKept))
			err = s.Store.Commit(ctx, partBlob(b), under(rev).Gone(keyState, token, expires))
			var refused *store.Refused
			if errors.Is(err, store.ErrUnknown) || errors.As(err, &refused) {
				continue
			}
			if err != nil {
				return unavailable(err)
			}
		}
		if err := s.Bytes.Delete(o); err != nil {
			return err
		}
		if err := s.disown(ctx, account, b, o); err != nil {
			return err
		}
		count(s.Counters.Abandoned, 1)
		return nil
	}
	return ErrUnavailable
}
