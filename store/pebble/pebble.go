package pebble

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
)

// Options of a store; the zero value is right for a server.
type Options struct {
	// Clock decides what has expired; default time.Now. It may be called from
	// many goroutines.
	Clock func() time.Time
	// Logger gets the engine's warnings and errors; default none.
	Logger *slog.Logger
	// FS is where the folder lies; default the operating system. Tests crash it.
	FS vfs.FS
	// MinFree is how many bytes must be free on the disk for a commit; default
	// 256 MiB, enough for what Pebble writes in the background with the
	// sizes used here. Sweeps, which free space, go on down to half of it. A
	// file system that cannot tell its free space is not checked.
	MinFree uint64
	// SweepEvery is the pause between two sweeps of expired rows; default one
	// minute. A negative one means that only [Store.Sweep] sweeps.
	SweepEvery time.Duration
	// Cache is how many bytes of files to keep in memory; default 32 MiB. What
	// waits to be written to files, 8 MiB and more, takes its part of them.
	Cache int64
	// Rows is how many bytes of records to keep in memory, those read or written
	// lately; default 32 MiB, none if negative. Ranges of them take a quarter more.
	Rows int64
	// CheckAll makes Open read all table files for damage, and not only those
	// that are quickly read.
	CheckAll bool
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.MinFree == 0 {
		o.MinFree = 256 << 20
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = time.Minute
	}
	if o.Cache == 0 {
		o.Cache = 32 << 20
	}
	if o.Rows == 0 {
		o.Rows = 32 << 20
	}
	return o
}

// flushWait is how long Close waits for its flush: a memtable takes far less.
const flushWait = 10 * time.Second

// Store is an open data folder. Safe for concurrent use.
type Store struct {
	schema  store.Schema
	options Options
	folder  string
	guard   *guardFS
	db      *pebble.DB
	lock    *pebble.Lock

	queue    chan *commit
	inflight atomic.Pointer[group] // written, maybe not yet synced
	rows     *rowCache
	ranges   *rangeCache
	examined atomic.Uint64
	expired  atomic.Pointer[func(store.Partition, store.Record)]
	floor    uint64 // owned by the committer; see the package documentation

	copying sync.Mutex // one Checkpoint at a time

	opened   atomic.Bool
	failOnce sync.Once
	failed   chan struct{} // closed after failure was set
	failure  atomic.Pointer[error]

	// life is held for reading by everybody who uses db or sends to queue,
	// and for writing by Close, which so waits for them.
	life    sync.RWMutex
	closed  bool
	closing chan struct{}
	running sync.WaitGroup
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Expirer = (*Store)(nil)
	_ store.Chainer = (*Store)(nil)
	_ store.Viewer  = (*Store)(nil)
)

// Open opens the data folder, and makes it if there is none, for the keys of
// schema. One process at a time may have it open: others get [store.ErrBusy].
// [store.ErrDamaged] says that files are missing or not what was written. A
// schema that gives a key another kind than before is [store.ErrKind].
func Open(folder string, schema store.Schema, o Options) (*Store, error) {
	if err := schema.Check(); err != nil {
		return nil, err
	}
	s := &Store{
		schema:  schema,
		options: o.withDefaults(),
		folder:  folder,
		queue:   make(chan *commit, maxWaiting),
		failed:  make(chan struct{}),
		closing: make(chan struct{}),
	}
	s.rows, s.ranges = newRowCache(s.options.Rows), newRangeCache(s.options.Rows/4)
	s.guard = &guardFS{FS: s.options.FS, fail: s.fail, failed: s.failed}
	if err := s.openFolder(); err != nil {
		return nil, err
	}
	s.running.Go(s.commitLoop)
	if s.options.SweepEvery > 0 {
		s.running.Go(s.sweepLoop)
	}
	return s, nil
}

// Failed is closed when the store has stopped itself: after a disk error, or
// because a file is damaged. The process should then end, and say what Close
// returns, which is [store.ErrFailed] and, for damage, [store.ErrDamaged] too.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// OnExpired implements [store.Expirer]. f is called by the goroutine that
// commits.
func (s *Store) OnExpired(f func(store.Partition, store.Record)) { s.expired.Store(&f) }

// Examined counts the rows, also deleted ones, that reads have passed so far.
func (s *Store) Examined() uint64 { return s.examined.Load() }

// Close waits for running calls, answers every commit that was handed over, and
// releases the folder. After a failure it returns [store.ErrFailed] and, unless
// that was damage met while reading, leaves the folder locked until the process
// ends, since Pebble cannot be trusted to close any more.
func (s *Store) Close() error {
	s.life.Lock()
	if s.closed {
		s.life.Unlock()
		return store.ErrClosed
	}
	s.closed = true
	close(s.closing)
	close(s.queue)
	s.life.Unlock()

	if errors.Is(s.failedErr(), store.ErrDamaged) {
		return s.closeDamaged()
	}
	stopped := func() error { s.running.Wait(); return nil }
	err := s.apart(stopped)
	if err == nil {
		s.flush()
		err = s.closePebble()
	}
	if s.failedErr() != nil {
		return s.failedErr()
	}
	if err == nil {
		if sealErr := writeSeal(s.options.FS, s.folder); sealErr != nil { // a full disk, say
			s.options.Logger.Warn("store: closed without seal", "err", sealErr)
		}
	}
	if err = errors.Join(err, s.lock.Close()); err != nil {
		return fmt.Errorf("store: closing %s: %w", s.folder, err)
	}
	return nil
}

// closeDamaged ends as a crash would, without a seal. It does not wait for ever:
// after a failure whoever meets the disk stays where he is.
func (s *Store) closeDamaged() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }() // Pebble's end with what is damaged is of no use to anybody
		s.running.Wait()
		_ = s.db.Close()
	}()
	select {
	case <-done:
		_ = s.lock.Close()
	case <-time.After(flushWait):
	}
	return s.failedErr()
}

// flush moves what only the log has into table files before an orderly end, so
// that the next start is quick. The end does not wait for it without limit.
func (s *Store) flush() {
	if full, _ := s.space(); full != nil {
		return
	}
	err := s.apart(func() error {
		flushed, err := s.db.AsyncFlush()
		if err != nil {
			return err
		}
		select {
		case <-flushed:
		case <-time.After(flushWait):
		}
		return nil
	})
	if err != nil {
		s.options.Logger.Warn("store: closing without flush", "err", err)
	}
}

// fail stops the store. What is in flight is unknown from here on.
func (s *Store) fail(cause error) {
	s.stop("store: stopped", fmt.Errorf("%w: start the server anew; cause: %w", store.ErrFailed, cause), func() {})
}

// stop is for the first reason only. then comes before anybody is told.
func (s *Store) stop(message string, err error, then func()) {
	s.failOnce.Do(func() {
		s.failure.Store(&err)
		s.options.Logger.Error(message, "cause", err)
		then()
		close(s.failed)
	})
}

func (s *Store) failedErr() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// enter begins a use of the store; without error, leave ends it.
func (s *Store) enter() error {
	s.life.RLock()
	err := s.failedErr()
	if s.closed {
		err = store.ErrClosed
	}
	if err != nil {
		s.life.RUnlock()
	}
	return err
}

func (s *Store) leave() { s.life.RUnlock() }
