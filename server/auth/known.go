package auth

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/reseal/reseal/api/refusal"
	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// InstallationSize is the length of what an installation is known by, bytes.
const InstallationSize = 32

// checkInstallation checks its form; none is good.
func checkInstallation(b []byte) error {
	if len(b) != 0 && len(b) != InstallationSize {
		return refusal.Malformed("installation")
	}
	return nil
}

// installation is the hash under which an account knows an installation.
func installation(id identity.AccountID, b []byte) records.PairHash {
	h := sha256.New()
	h.Write([]byte("reseal/1 known installation\x00"))
	h.Write(id[:])
	h.Write(b)
	return records.PairHash(h.Sum(nil)[:len(records.PairHash{})])
}

// throttle counts a start of a login or a recovery: that of an installation
// which the account knows in a bucket of its own, known, and any other in those
// of its address and of the handle. It reads the same for a handle that nobody
// has (spec/login.md, section 3).
func (s *Service) throttle(ctx context.Context, h handle.Handle, shown []byte, known string, others func() error) error {
	if len(shown) == 0 {
		return others()
	}
	id, err := s.named(ctx, h)
	if err != nil {
		return s.fail(ctx, err)
	}
	if id.IsZero() {
		id = nobody(h)
	}
	yes, err := s.knows(ctx, id, shown)
	if err != nil {
		return s.fail(ctx, err)
	}
	if !yes {
		return others()
	}
	hash := installation(id, shown)
	return s.Limiter.Allow(known, string(h)+"/"+string(hash[:]))
}

// throttleRecovery counts a start of a recovery, or of a reset by the operator's
// code: whoever tries one may as well try the other. Nothing of it counts by the
// handle alone: who has lost every device comes from an installation that is not
// known, and strangers must not be able to keep them out.
func (s *Service) throttleRecovery(ctx context.Context, h handle.Handle, shown []byte) error {
	return s.throttle(ctx, h, shown, "recovery_known", func() error {
		if err := s.Limiter.Allow("recovery", peer(ctx)); err != nil {
			return err
		}
		return s.Limiter.Allow("recovery_handle", string(h)+"@"+peer(ctx))
	})
}

func (s *Service) knows(ctx context.Context, id identity.AccountID, shown []byte) (bool, error) {
	hash, period := installation(id, shown), records.PeriodOf(s.now())
	for _, n := range []uint32{period, period - 1} {
		rec, err := s.Store.Get(ctx, records.AccountPartition(id), records.AcquaintedKey(n, hash))
		if err == nil && !rec.Gone() {
			return true, nil
		}
		if err != nil && !errors.Is(err, store.ErrAbsent) {
			return false, err
		}
	}
	return false, nil
}

// know remembers for this period and the next that the account knows an
// installation: whoever uses it had the password or the code. Of new ones it
// takes few, so that nobody who had the password once has as many buckets to
// guess at the next one as they have made up installations.
func (s *Service) know(ctx context.Context, id identity.AccountID, shown []byte) error {
	if len(shown) != InstallationSize {
		return nil
	}
	hash, period := installation(id, shown), records.PeriodOf(s.now())
	k := records.AcquaintedKey(period, hash)
	p := records.AccountPartition(id)
	if _, err := s.Store.Get(ctx, p, k); err == nil || !errors.Is(err, store.ErrAbsent) {
		return err
	}
	yes, err := s.knows(ctx, id, shown)
	if err != nil {
		return err
	}
	if !yes && s.Limiter.Allow("installation", string(id[:])) != nil {
		return nil
	}
	return s.Store.Commit(ctx, p, new(store.Batch).PutOnce(k, records.EncodeAcquainted(), int64(records.PeriodEnd(period+1))))
}
