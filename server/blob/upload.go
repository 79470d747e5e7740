package blob

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/reseal/reseal/api/blobs"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// Create begins an upload of account, or returns the status of the one that
// was begun with the same arguments. Errors: ErrMalformed, ErrLarge,
// ErrConflict, ErrUploads, ErrQuota, ErrFull, ErrUnavailable.
func (s *Service) Create(ctx context.Context, account identity.AccountID, b message.BlobID, length, segments uint64, capability CapabilityHash) (blobs.Status, error) {
	if err := checkSizes(length, segments); err != nil {
		return blobs.Status{}, err
	}
	if b.IsZero() || account.IsZero() {
		return blobs.Status{}, fmt.Errorf("%w: zero id", ErrMalformed)
	}
	// Makes the count below exact within this node; between nodes it may be
	// exceeded by a few.
	mu := &s.accounts[int(account[0])%len(s.accounts)]
	mu.Lock()
	defer mu.Unlock()

	want := upload{Length: length, Segments: uint32(segments), Capability: capability, Created: s.now()}
	st, err := s.settled(ctx, b)
	if err != nil {
		return blobs.Status{}, err
	}
	if st != nil {
		if st.Account == account && st.Length == length && st.Segments == want.Segments && st.Capability == capability {
			return completeStatus(length), nil
		}
		return blobs.Status{}, ErrConflict
	}
	u, o, err := s.find(ctx, account, b)
	if errors.Is(err, ErrNotFound) {
		return s.create(ctx, account, b, want)
	}
	if err != nil {
		return blobs.Status{}, err
	}
	if u.Length != length || u.Segments != want.Segments || u.Capability != capability {
		return blobs.Status{}, ErrConflict
	}
	return s.status(u, o)
}

func (s *Service) create(ctx context.Context, account identity.AccountID, b message.BlobID, u upload) (blobs.Status, error) {
	p := partUploads(account)
	open, err := s.Store.Range(ctx, p, preUp, store.PrefixEnd(preUp), s.MaxUploads, true)
	if err != nil {
		return blobs.Status{}, unavailable(err)
	}
	if len(open) >= s.MaxUploads {
		return blobs.Status{}, ErrUploads
	}
	if err := s.Quota(ctx, account, u.Length); err != nil {
		return blobs.Status{}, err
	}
	done, err := s.Kept.Take(ctx, string(account[:]), int64(u.Length)+int64(u.Segments), func(ctx context.Context) (quota.Count, error) {
		return s.kept(ctx, account)
	})
	if err != nil {
		return blobs.Status{}, overQuota(err)
	}
	defer done()
	if err := s.Bytes.Room(u.Length + uint64(u.Segments)); err != nil {
		return blobs.Status{}, err
	}
	o, err := newObject(s.Rand)
	if err != nil {
		return blobs.Status{}, err
	}
	// If we crash after the reminder, the janitor finds nothing and forgets it;
	// after the object, it deletes the object.
	at := u.Created.Add(UploadLife)
	if err := s.remind(ctx, due{Blob: b, Reason: dueUpload, Nonce: o, At: at, Account: account, Object: o}); err != nil {
		return blobs.Status{}, err
	}
	if err := s.Bytes.Create(o); err != nil {
		return blobs.Status{}, err
	}
	// Expires well after the janitor came by, who must find it to be strict.
	batch := new(store.Batch).PutOnce(keyUp(b, o), u.encode(), int64(at.Add(2*UploadLife))).
		PutOnce(keyOwn(b, o), ownValue(u.Length+uint64(u.Segments)), 0)
	if err := s.commit(ctx, p, batch); err != nil {
		return blobs.Status{}, err
	}
	count(s.Counters.Uploads, 1)
	return s.status(u, o)
}

// find returns the upload of b that account has in progress. Where a creation
// whose outcome was unknown left a second one, it is the one created last.
func (s *Service) find(ctx context.Context, account identity.AccountID, b message.BlobID) (u upload, o Object, err error) {
	prefix := preUpOf(b)
	rows, err := s.Store.Range(ctx, partUploads(account), prefix, store.PrefixEnd(prefix), s.MaxUploads, false)
	if err != nil {
		return upload{}, Object{}, unavailable(err)
	}
	found := false
	for _, r := range rows {
		v, err := parseUpload(r.Value)
		if err != nil || len(r.Key) != len(prefix)+len(o) {
			return upload{}, Object{}, fmt.Errorf("blob: damaged record: %v", err)
		}
		if v.Created.Add(UploadLife) > s.now() && (!found || v.Created >= u.Created) {
			u, o, found = v, Object([]byte(r.Key[len(prefix):])), true
		}
	}
	if !found {
		return upload{}, Object{}, ErrNotFound
	}
	return u, o, nil
}

// Status tells what of an upload is there. Errors: ErrNotFound, also for
// uploads and blobs of other accounts; ErrUnavailable.
func (s *Service) Status(ctx context.Context, account identity.AccountID, b message.BlobID) (blobs.Status, error) {
	st, _, err := s.readState(ctx, b)
	if err != nil {
		return blobs.Status{}, err
	}
	if st != nil && st.Account == account && st.Phase != doomed {
		return completeStatus(st.Length), nil
	}
	u, o, err := s.find(ctx, account, b)
	if err != nil {
		return blobs.Status{}, err
	}
	return s.status(u, o)
}

func completeStatus(length uint64) blobs.Status {
	return blobs.Status{Complete: true, Length: length, PartSize: blobs.PartSize, Segments: true}
}

func (s *Service) status(u upload, o Object) (blobs.Status, error) {
	parts, segments, _, err := s.stored(u, o)
	if err != nil {
		return blobs.Status{}, err
	}
	return blobs.Status{Length: u.Length, PartSize: blobs.PartSize, Segments: segments, Parts: parts.String()}, nil
}

// stored says which pieces of an upload are there in full.
func (s *Service) stored(u upload, o Object) (parts blobs.Bitmap, segments, all bool, err error) {
	pieces, err := s.Bytes.Pieces(o)
	if err != nil {
		return nil, false, false, err
	}
	n := blobs.Parts(u.Length)
	parts, all = blobs.NewBitmap(n), true
	for i := range n {
		if size, ok := pieces[Piece(i)]; ok && size == blobs.PartLength(u.Length, i) {
			parts.Set(i)
		} else {
			all = false
		}
	}
	size, ok := pieces[SegmentList]
	segments = ok && size == int64(u.Segments)
	return parts, segments, all && segments, nil
}

// PutPart stores part n of an upload, size bytes from src with this SHA-256. It
// is durable when PutPart returns nil, and may be repeated. Errors:
// ErrNotFound, ErrLength, ErrHash, ErrConflict, ErrFull, ErrUnavailable, and
// those of src.
func (s *Service) PutPart(ctx context.Context, account identity.AccountID, b message.BlobID, n int, size int64, sum [32]byte, src io.Reader) error {
	u, o, err := s.find(ctx, account, b)
	if err != nil {
		return err
	}
	want := blobs.PartLength(u.Length, n)
	if want == 0 {
		return fmt.Errorf("%w: no such part", ErrMalformed)
	}
	return s.put(o, Piece(n), want, size, sum, src)
}

// PutSegments stores the list of segment hashes, like [Service.PutPart].
func (s *Service) PutSegments(ctx context.Context, account identity.AccountID, b message.BlobID, size int64, sum [32]byte, src io.Reader) error {
	u, o, err := s.find(ctx, account, b)
	if err != nil {
		return err
	}
	return s.put(o, SegmentList, int64(u.Segments), size, sum, src)
}

func (s *Service) put(o Object, p Piece, want, size int64, sum [32]byte, src io.Reader) error {
	if size != want {
		return ErrLength
	}
	if err := s.Bytes.Room(uint64(size)); err != nil {
		return err
	}
	if err := s.Bytes.Put(o, p, size, sum, src); err != nil {
		return err
	}
	count(s.Counters.BytesIn, size)
	return nil
}

// Complete makes a blob of an upload whose parts and segment list are all
// there. It is durable when Complete returns nil, and may be repeated. Errors:
// ErrNotFound, ErrMissing, ErrConflict, ErrFull, ErrUnavailable.
func (s *Service) Complete(ctx context.Context, account identity.AccountID, b message.BlobID) (blobs.Status, error) {
	for range tries {
		// The order st, up, bytes is what makes a completion and giving up
		// exclude each other; see abandon.
		st, rev, err := s.readState(ctx, b)
		switch {
		case err != nil:
			return blobs.Status{}, err
		case st != nil && st.Phase != live:
			if err := s.collect(ctx, b, st.Object); err != nil {
				return blobs.Status{}, err
			}
			continue
		case st != nil && st.Account != account:
			return blobs.Status{}, ErrConflict
		case st != nil:
			s.forget(ctx, account, b, st.Object)
			return completeStatus(st.Length), nil
		}
		u, o, err := s.find(ctx, account, b)
		if err != nil {
			return blobs.Status{}, err
		}
		if _, _, all, err := s.stored(u, o); err != nil || !all {
			return blobs.Status{}, errors.Join(err, missing(all, err))
		}
		if err := s.golive(ctx, account, b, u, o, rev); err != nil {
			return blobs.Status{}, err
		}
	}
	return blobs.Status{}, ErrUnavailable
}

func missing(all bool, err error) error {
	if err == nil && !all {
		return ErrMissing
	}
	return nil
}

// golive tries once to make o the bytes of b. It returns nil also where the
// outcome is unknown or the record changed: the caller looks again.
func (s *Service) golive(ctx context.Context, account identity.AccountID, b message.BlobID, u upload, o Object, rev uint64) error {
	if err := s.Bytes.Sync(o); err != nil {
		return err
	}
	nonce, err := newObject(s.Rand)
	if err != nil {
		return err
	}
	token, err := s.token()
	if err != nil {
		return err
	}
	now := s.now()
	// Before st, so that no live blob is without a reminder.
	if err := s.remind(ctx, due{Blob: b, Reason: dueGrace, Nonce: nonce, At: now.Add(Grace), Object: o}); err != nil {
		return err
	}
	st := state{
		Phase: live, Object: o, Account: account, Length: u.Length, Segments: u.Segments,
		Capability: u.Capability, Completed: now,
	}
	err = s.Store.Commit(ctx, partBlob(b), under(rev).Put(keyState, st.encode(), token, 0))
	if err == nil {
		count(s.Counters.Completed, 1)
	}
	return lookAgain(err)
}

// lookAgain drops the errors after which the caller reads the record again and
// asks whether its goal holds.
func lookAgain(err error) error {
	var refused *store.Refused
	if err == nil || errors.Is(err, store.ErrUnknown) || errors.As(err, &refused) {
		return nil
	}
	return unavailable(err)
}

// forget frees the account's place for an upload that is complete. If that
// fails the record is left for the janitor.
func (s *Service) forget(ctx context.Context, account identity.AccountID, b message.BlobID, o Object) {
	err := s.commit(ctx, partUploads(account), new(store.Batch).DeleteOnce(keyUp(b, o)))
	if err != nil {
		s.Log.Warn("blob: upload record stays", "error", err)
	}
}
