// Package mailbox stores messages and their wraps, and carries messages, wraps,
// receipts and ends to the devices they are for.
//
// # Where things lie
//
// A pending message belongs to the recipient's account (partition T of the
// message's day), its wraps lie under it, and the sender's copy lies in the
// sender's partition, for the sender's other devices. A device's queue is only
// a hint of what is new: whoever reads the days of the partition (ReadDay)
// finds everything.
//
// A queue entry is written in one batch with what it tells of, under a key that
// follows from it, so a repeated call finds it written and only wakes the
// devices: repeats fill no queue, and a call that was cut off after its commit is
// made good by its repeat. Wake-ups may be lost: an open stream also looks into
// its queue about once a minute.
//
// # Commit, then look again
//
// Send stores the message durably, and only then reads the device lists and
// certificates once more. Whoever adds a device or an epoch stores that first,
// and only then reads what is pending. So whichever comes first, one of the two
// sees the other, and every pending message and current device have a wrap, an
// open retry request, or one at that device's next sync. If the node dies in
// between, the sender repeats the very same request.
//
// # Ends
//
// The end record is decided by one condition (it is absent) in the recipient's
// partition. After that it is over; everything else (deleting the message, its
// wraps and copies, telling the devices, dropping the blob's reference) is
// repeated by whoever repeats the receipt.
package mailbox

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/reseal/reseal/bus"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// Limits of one call.
const (
	MaxWraps       = 32 // wraps in one AddWraps; a Send has message.MaxWraps for each account
	MaxSegments    = message.MaxInlineSegments
	MaxAcknowledge = 256 // queue entries in one Acknowledge
	MaxWatch       = 4096
	// PageBytes is about how much one answer of ReadDay holds.
	PageBytes = 512 << 10
	// ClaimLife is how long a claimed view may take.
	ClaimLife = 2 * time.Minute
	// MaxSkew is how far a creation time may be from the server's clock.
	MaxSkew = time.Hour
	// QueueDays is how many days of its queue a device is told of: entries lie
	// on their message's day, and an end may be told for a month after it.
	QueueDays = 62
	// recheck is how often an open event stream asks whether its session lives
	// and looks into its queue, give or take a half.
	recheck = time.Minute
	// backlog is how many hints may wait for one stream before it is told to
	// read its days again.
	backlog = 1024
)

// Blobs is what the mailbox needs of the blob store.
type Blobs interface {
	// AddReference lets a message refer to a blob, on the word of its
	// capability; it ends in a refusal where there is no such live blob.
	AddReference(ctx context.Context, b message.BlobID, capability [32]byte, a identity.AccountID, m message.ID, expires identity.Time) error
	// DropReference ends that.
	DropReference(ctx context.Context, b message.BlobID, a identity.AccountID, m message.ID) error
}

// Sessions tells whether a session still lives.
type Sessions interface {
	Live(ctx context.Context, c caller.Caller) error
}

// Counter counts by a label; the server's metrics implement it.
type Counter interface{ Count(name, label string) }

// Limiter refuses what comes too often. The kinds are "inbox", "inbox_stranger" and
// "inbox_bytes" (KiB), by sender and recipient, "inbox_all" and "inbox_bytes_all",
// by recipient, and "repeat", by caller and the other account of what was done before.
type Limiter interface {
	Allow(kind, key string) error
	AllowN(kind, key string, n int) error
}

// Service is the mailbox. All fields must be set; its methods may be called
// from many goroutines.
type Service struct {
	Store    store.Store
	Bus      bus.Bus
	Blobs    Blobs
	Sessions Sessions
	Limiter  Limiter
	Counter  Counter
	Log      *slog.Logger
	Now      func() time.Time
	// Strangers is how many accounts one account may write to in a day that have
	// not shown that they know it; 0 is no limit.
	Strangers int
	// Pending bounds what waits for one account, SentQuota what one account has
	// sent that is not over; nil is no limit.
	Pending, SentQuota *quota.Tally
	// Rand gives queue keys and writer's tokens.
	Rand io.Reader
	// Recheck is how often an open stream asks whether its session lives and
	// looks into its queue without being woken; 0 is a minute.
	Recheck time.Duration
	// Stop, once closed, ends every event stream (the server drains).
	Stop <-chan struct{}

	// Asked tells of answers to retry requests, and Answering counts how long
	// they took; nil for nobody.
	Asked     Asked
	Answering Answering

	streams  streams
	met      met
	expiring expiring
}

// Asked knows what devices asked for.
type Asked interface {
	// Answered tells when a device asked for a message that a wrap has come for,
	// and whether it is the first one. ok is false where it did not ask.
	Answered(id message.ID, d identity.DeviceID) (at time.Time, first, ok bool)
}

// Answering is told how long a retry took, and who answered.
type Answering interface {
	Answered(by string, after time.Duration)
}

func (s *Service) now() identity.Time { return identity.TimeOf(s.Now()) }

func (s *Service) count(name, label string) { s.Counter.Count(name, label) }
