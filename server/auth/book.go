package auth

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

func checkBook(b *resealv1.Book) error {
	if len(b.GetParts()) > MaxParts {
		return refusal.Limit("book")
	}
	for _, part := range b.GetParts() {
		if len(part) == 0 || len(part) > MaxPart {
			return refusal.Limit("book part")
		}
	}
	return nil
}

// checkNextBook checks a book that takes another's place: there is one, and it
// follows the version that it was made from. what names the refusal.
func checkNextBook(b *resealv1.Book, base uint64, what string) error {
	if err := checkBook(b); err != nil {
		return err
	}
	if len(b.GetParts()) == 0 || b.Version <= base {
		return refusal.Malformed(what)
	}
	return nil
}

// head reads which version of the book stands, and its record, which is not
// present where there is none.
func (s *Service) head(ctx context.Context, id identity.AccountID) (h records.BookHead, rec store.Record, err error) {
	rec, err = s.Store.Get(ctx, records.AccountPartition(id), records.Book)
	if errors.Is(err, store.ErrAbsent) {
		return h, store.Record{}, nil
	}
	if err != nil {
		return h, rec, err
	}
	h, err = records.ParseBookHead(rec.Value)
	return h, rec, err
}

// bookReads is how often a reader begins anew because the book was replaced
// under it. Each time some writer has got through, so this ends.
const bookReads = 64

// errBookPart: the head that stands names a part that is not there.
var errBookPart = errors.New("auth: a part of the book is missing")

// GetBook returns the account's sealed book.
func (s *Service) GetBook(ctx context.Context, _ *resealv1.GetBookRequest) (*resealv1.GetBookResponse, error) {
	c, err := caller.From(ctx)
	if err != nil {
		return nil, err
	}
	var last uint64
	for range bookReads {
		b, rev, err := s.getBook(ctx, c.Account)
		if errors.Is(err, store.ErrAbsent) && rev != last {
			// Parts go only once a newer head stands: it is read next.
			last = rev
			continue
		}
		if errors.Is(err, store.ErrAbsent) {
			err = errBookPart
		}
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &resealv1.GetBookResponse{Book: b}, nil
	}
	return nil, refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
}

// getBook reads the head that stands and its parts; rev is the head's revision.
func (s *Service) getBook(ctx context.Context, id identity.AccountID) (b *resealv1.Book, rev uint64, err error) {
	h, head, err := s.head(ctx, id)
	if err != nil || !head.Present() {
		return &resealv1.Book{}, 0, err
	}
	b = &resealv1.Book{Version: h.Version}
	for n := range int(h.Parts) {
		rec, err := s.Store.Get(ctx, records.AccountPartition(id), records.PartKey(h.Writer, n))
		if err != nil {
			return nil, head.Rev, err
		}
		b.Parts = append(b.Parts, rec.Value)
	}
	return b, head.Rev, nil
}

// PutBook stores a new version of the book: its parts first, then the head that
// makes them stand, then the old parts go.
func (s *Service) PutBook(ctx context.Context, req *resealv1.PutBookRequest) (*resealv1.PutBookResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkNextBook(req.Book, req.BaseVersion, "book"); err != nil {
		return nil, err
	}
	if size := bookSize(req.Book); s.MaxBook > 0 && size > s.MaxBook {
		return nil, refusal.Limit(quota.What("book"))
	}
	if err := s.putBook(ctx, c.Account, req); err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Bus.Publish(s.Topics.Book(c.Account), nil)
	return &resealv1.PutBookResponse{}, nil
}

func bookSize(b *resealv1.Book) (n int) {
	for _, p := range b.GetParts() {
		n += len(p)
	}
	return n
}

// writerLife is how long a writer may take from its first part to its head; a
// part whose writer is older than orphanAge and does not stand is left from a
// crash.
const (
	writerLife = 10 * time.Minute
	orphanAge  = time.Hour
)

// newWriter names the parts of one try to write: when it began, and 8 random
// bytes.
func (s *Service) newWriter() (w [16]byte, err error) {
	binary.BigEndian.PutUint64(w[:], uint64(s.now()))
	_, err = io.ReadFull(s.Rand, w[8:])
	return w, err
}

func (s *Service) putBook(ctx context.Context, id identity.AccountID, req *resealv1.PutBookRequest) error {
	token, err := tokenOf(req)
	if err != nil {
		return err
	}
	h, head, err := s.head(ctx, id)
	if err != nil {
		return err
	}
	if head.Present() && head.Token == token {
		return nil // a repeat
	}
	if h.Version != req.BaseVersion {
		return refusal.New(resealv1.Reason_REASON_CONFLICT)
	}
	writer, err := s.newWriter()
	if err != nil {
		return err
	}
	p := records.AccountPartition(id)
	for n, part := range req.Book.Parts {
		if err := s.Store.Commit(ctx, p, new(store.Batch).PutOnce(records.PartKey(writer, n), part, 0)); err != nil {
			return err
		}
	}
	if s.writerAge(writer) > writerLife {
		return refusal.New(resealv1.Reason_REASON_UNAVAILABLE)
	}
	next := records.BookHead{Version: req.Book.Version, Parts: uint16(len(req.Book.Parts)), Writer: writer}
	b := new(store.Batch)
	if head.Present() {
		b.Replace(records.Book, head.Rev, next.Encode(), token, 0)
	} else {
		b.Create(records.Book, next.Encode(), token, 0)
	}
	if err := s.commit(ctx, id, b, token); err != nil {
		return err
	}
	return s.sweepParts(ctx, id, h.Writer)
}

func (s *Service) writerAge(w [16]byte) time.Duration {
	return s.now().Sub(identity.Time(binary.BigEndian.Uint64(w[:])))
}

// sweepParts deletes the parts of the version that was replaced, and those that
// a crash or a lost race left behind long ago. It never touches the parts of a
// writer that may still come to its head.
func (s *Service) sweepParts(ctx context.Context, id identity.AccountID, replaced [16]byte) error {
	p := records.AccountPartition(id)
	h, _, err := s.head(ctx, id)
	if err != nil {
		return err
	}
	b := new(store.Batch)
	for rec, err := range store.Scan(ctx, s.Store, p, records.Parts, store.PrefixEnd(records.Parts), true) {
		if err != nil {
			return err
		}
		w, ok := records.WriterOfKey(rec.Key)
		if !ok || w == h.Writer || (w != replaced && s.writerAge(w) < orphanAge) {
			continue
		}
		if b.DeleteOnce(rec.Key); len(b.Writes) == store.MaxWrites {
			break // the rest goes with the next version
		}
	}
	if len(b.Writes) == 0 {
		return nil
	}
	return s.Store.Commit(ctx, p, b)
}

// SetBlocked notes the account's own choice that the server drops what another
// account sends.
func (s *Service) SetBlocked(ctx context.Context, req *resealv1.SetBlockedRequest) (*resealv1.SetBlockedResponse, error) {
	c, err := caller.Device(ctx)
	if err != nil {
		return nil, err
	}
	if !isLen(req.AccountId, 16) || identity.AccountID(req.AccountId) == c.Account {
		return nil, refusal.Malformed("account")
	}
	if err := s.setBlocked(ctx, c.Account, identity.AccountID(req.AccountId), req.Blocked); err != nil {
		return nil, s.fail(ctx, err)
	}
	return &resealv1.SetBlockedResponse{}, nil
}

func (s *Service) setBlocked(ctx context.Context, id, whom identity.AccountID, blocked bool) error {
	p, k := records.AccountPartition(id), records.BlockKey(whom)
	token, err := store.NewToken(s.Rand)
	if err != nil {
		return err
	}
	rec, err := s.Store.Get(ctx, p, k)
	b := new(store.Batch)
	switch {
	case errors.Is(err, store.ErrAbsent) && !blocked:
		return nil
	case errors.Is(err, store.ErrAbsent):
		most := MaxBlocked
		if s.MaxBlocked > 0 {
			most = min(most, s.MaxBlocked)
		}
		all, err := s.Store.Range(ctx, p, records.Blocks, store.PrefixEnd(records.Blocks), most, true)
		if err != nil {
			return err
		}
		if len(all) >= most {
			return refusal.Limit(quota.What("blocked"))
		}
		b.Create(k, records.EncodeBlock(true), token, 0)
	case err != nil:
		return err
	default:
		var until int64 // a block stays; that there is none need not
		if !blocked {
			until = int64(s.now().Add(time.Hour))
		}
		b.Replace(k, rec.Rev, records.EncodeBlock(blocked), token, until)
	}
	return s.commit(ctx, id, b, token)
}
