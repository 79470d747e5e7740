package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// The times of spec/blob.md, section 6.
const (
	// UploadLife is how long after its creation an upload may be completed.
	UploadLife = 24 * time.Hour
	// Grace is how long a complete blob waits for a message to refer to it.
	Grace = 24 * time.Hour
	// RefSlack is how long a reference outlives its message, so that nodes
	// whose clocks differ never disagree about one that still matters.
	RefSlack = time.Minute
	// GoneKept is how long the record of a collected blob is kept.
	GoneKept = 40 * 24 * time.Hour
)

// Defaults of [Config].
const (
	DefaultMaxUploads = 16
	DefaultMinRate    = 8 << 10
	DefaultPatience   = 30 * time.Second
	DefaultTick       = time.Minute
)

// Config is what a service works with. Store, Bytes and Authorize are needed;
// the zero value of every other field stands for its default.
type Config struct {
	Store store.Store
	Bytes Bytes
	Clock func() time.Time // default time.Now
	Rand  io.Reader        // object names and tokens; default crypto/rand
	// Authorize returns the account whose session r carries. Uploads need one.
	Authorize func(r *http.Request) (identity.AccountID, error)
	// Quota is asked before an upload of length bytes is created; its refusal
	// is a [LimitError]. Default none.
	Quota func(ctx context.Context, account identity.AccountID, length uint64) error
	// Rate is asked before bytes are read from or written to r's client; a
	// result above 0 refuses, and says for how long. Reads have no account.
	// Default none.
	Rate       func(r *http.Request, account identity.AccountID, bytes uint64) time.Duration
	Kept       *quota.Tally  // of what one account keeps here; default no limit
	MaxUploads int           // in progress for one account; default DefaultMaxUploads
	MinRate    int64         // bytes a second of a client, below which it is cut off; default DefaultMinRate
	Patience   time.Duration // for a client beyond MinRate; default DefaultPatience
	Tick       time.Duration // of the janitor; default DefaultTick
	Log        *slog.Logger  // default discards
	Counters   Counters
}

// Service is the logic and the HTTP handler of blobs; see the package
// documentation.
type Service struct {
	Config
	accounts [64]sync.Mutex // creation of uploads, striped by account
	kicks    chan kick
}

// New makes a service. It writes the janitor's mark into a fresh store.
func New(ctx context.Context, c Config) (*Service, error) {
	if c.Store == nil || c.Bytes == nil || c.Authorize == nil {
		return nil, errors.New("blob: Store, Bytes and Authorize are needed")
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Quota == nil {
		c.Quota = func(context.Context, identity.AccountID, uint64) error { return nil }
	}
	if c.Rate == nil {
		c.Rate = func(*http.Request, identity.AccountID, uint64) time.Duration { return 0 }
	}
	if c.MaxUploads <= 0 {
		c.MaxUploads = DefaultMaxUploads
	}
	if c.MinRate <= 0 {
		c.MinRate = DefaultMinRate
	}
	if c.Patience <= 0 {
		c.Patience = DefaultPatience
	}
	if c.Tick <= 0 {
		c.Tick = DefaultTick
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{Config: c, kicks: make(chan kick, 1024)}
	return s, s.markLow(ctx)
}

func (s *Service) now() identity.Time { return identity.TimeOf(s.Clock()) }

func (s *Service) token() (store.Token, error) { return store.NewToken(s.Rand) }

// readState returns the blob's state (nil if absent or gone) and the revision
// of its record (0 if absent).
func (s *Service) readState(ctx context.Context, b message.BlobID) (*state, uint64, error) {
	r, err := s.Store.Get(ctx, partBlob(b), keyState)
	if errors.Is(err, store.ErrAbsent) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, unavailable(err)
	}
	if r.Gone() {
		return nil, r.Rev, nil
	}
	st, err := parseState(r.Value)
	if err != nil {
		// Not the caller's fault: damage must not be told as bad input.
		return nil, 0, fmt.Errorf("blob: damaged record: %s", err.Error())
	}
	return &st, r.Rev, nil
}

// under is a batch with the condition that st has revision rev (0: absent).
func under(rev uint64) *store.Batch {
	b := new(store.Batch)
	if rev == 0 {
		return b.Absent(keyState)
	}
	return b.RevIs(keyState, rev)
}

// tries bounds how often a commit with an unknown outcome, or one that lost a
// race, is begun anew within one call.
const tries = 5

// commit repeats a batch without conditions until its outcome is known.
func (s *Service) commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	var err error
	for range tries {
		if err = s.Store.Commit(ctx, p, b); !errors.Is(err, store.ErrUnknown) {
			break
		}
	}
	return unavailable(err)
}

// unavailable names an error of the store for the caller, keeping its cause
// for the log. nil stays nil. Only what a repeat can mend is unavailable; the
// rest has no code here and so counts as a fault of the server.
func unavailable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrFull):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, store.ErrUnknown), errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrFailed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("blob: store: %w", err)
}
