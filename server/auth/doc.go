// Package auth is sign-up, login, sessions and the records of one account:
// password record, capsule, device list, server shares, epoch certificates and
// book.
//
// Password record, capsule, list and shares lie in one partition under one
// number, the revision of the record pw: every batch on any of them names the
// revision that it was made from and raises it. So two logins, a login and a
// removal, or a change and a crash can never mix: one of them is refused and
// made anew from what stands then.
//
// A call whose outcome is unknown may be repeated with the same bytes: every
// batch carries a token made from the request, by which a repeat knows its own
// earlier success.
//
// A session is a secret of 32 bytes that the client derived from the login; the
// server keeps its hash. It lives while its credential number is the account's
// and, once it is bound to a device, while that device is in the list.
package auth

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/bus"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/opaque"
	"github.com/reseal/reseal/store"
)

// Limits of one account and one call.
const (
	MaxCapsule     = 1 << 10
	MaxSealedShare = 256
	// RootSize is the size of a recovery root (spec/login.md), bytes.
	RootSize = 94
	MaxPart  = 32 << 10 // bytes of one part of the book
	MaxParts = 40
	// MaxBlocked is how many accounts one account can have noted as blocked at
	// most, whatever its quota.
	MaxBlocked = store.MaxPage
	// MaxEpochs is how many certificates of a device are kept at once; a device
	// makes one a week, and they go with their last day.
	MaxEpochs = 100
	// maxFirstParts is how much of a book comes with a sign-up, which is one
	// batch.
	maxFirstParts = 4
	// SessionLife is how long a session lives after it was last used.
	SessionLife = 90 * 24 * time.Hour
	// UnboundLife is how long a login may take to bind its session.
	UnboundLife = time.Hour
	// ChallengeLife is how long a possession challenge may be answered.
	ChallengeLife = 5 * time.Minute
	// MaxSkew is how far a signed time may be from the server's clock.
	MaxSkew = time.Hour
	// listKept is how long a superseded list is kept; a rotation for ever.
	listKept = 40 * 24 * time.Hour
	// certKept is how long a certificate outlives its last day: as long as a
	// message that names it may wait.
	certKept = 31 * 24 * time.Hour
)

// Limiter refuses what comes too often. The kinds are "signup", "login",
// "recovery" and "challenge" (by address), "login_handle" and "recovery_handle"
// (by handle and network, "handle@address"), "login_handle_all" (by handle),
// "login_known" and "recovery_known" (by handle and installation), "password",
// "epoch", "installation" and "recovery_told" (by account).
type Limiter interface {
	Allow(kind, key string) error
}

// Queues puts entries into the queues of devices.
type Queues interface {
	Push(ctx context.Context, a identity.AccountID, d identity.DeviceID, e records.Entry, expires identity.Time) error
}

// References drops what keeps a blob for a message.
type References interface {
	DropReference(ctx context.Context, b message.BlobID, a identity.AccountID, m message.ID) error
}

// Counter counts by a label.
type Counter interface{ Count(name, label string) }

// Topics names the hints that changes publish.
type Topics interface {
	Directory(a identity.AccountID) string
	Sessions(a identity.AccountID) string
	Book(a identity.AccountID) string
}

// Service is AccountService. All fields must be set before the first call; its
// methods may be called from many goroutines.
type Service struct {
	Store   store.Store
	Bus     bus.Bus
	Topics  Topics
	Queues  Queues
	Blobs   References
	Opaque  *opaque.Server
	Limiter Limiter
	Counter Counter
	Log     *slog.Logger
	Now     func() time.Time
	Rand    io.Reader
	// ChallengeKey seals challenges for the server itself, 32 bytes.
	ChallengeKey [32]byte
	// Version is what ServerInfo tells.
	Version string
	// MaxBlocked and MaxBook are the account's quotas of accounts blocked and of
	// bytes of its book; 0 is what the protocol allows.
	MaxBlocked, MaxBook int
	// MaxCiphertext and PartSize are what ServerInfo tells of blobs.
	MaxCiphertext uint64
	PartSize      uint32
	// Signup is who may make an account.
	Signup resealv1.Signup

	cache sessionCache
	later tasks
}

func (s *Service) now() identity.Time { return identity.TimeOf(s.Now()) }

// tokenOf marks all writes of one request, and of its repeats.
func tokenOf(m proto.Message) (store.Token, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return store.Token{}, err
	}
	sum := sha256.Sum256(append([]byte(m.ProtoReflect().Descriptor().FullName()+"\x00"), b...))
	return store.Token(sum[:16]), nil
}
