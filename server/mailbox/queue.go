package mailbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// row is a queue entry that goes into one batch with the record that it tells
// of: its key follows from what it tells of, so that a repeat names the same
// entry. Where the record is there, the entry was put; if it is gone by then,
// the device has taken it out, and it is never put again.
type row struct {
	entry records.Entry
	// which tells entries apart that say the same: of which wrap, say.
	which []byte
	// at is when the thing came to be, by whoever made it: the same in repeats.
	at identity.Time
}

func (r row) key(d identity.DeviceID) store.Key {
	return records.QueueKey(d, r.at, r.entry.Mark(r.which))
}

// enqueue adds the entry for each device to the batch of what it tells of.
func (s *Service) enqueue(b *store.Batch, to []identity.DeviceID, r row, expires identity.Time) {
	value := r.entry.Encode()
	for _, d := range to {
		b.PutOnce(r.key(d), value, int64(expires))
		s.count("queued", records.EntryName(r.entry.Kind))
	}
}

// wake hints at the entry in the queues of some devices; only after the commit,
// and at each repeat: the commit of a call that was cut off woke nobody. A
// device that has taken its entry out is not told again.
func (s *Service) wake(a identity.AccountID, day uint32, to []identity.DeviceID, r row) {
	for _, d := range to {
		s.Bus.Publish(queueTopic(a), entryName(day, r.key(d)))
	}
}

// Push puts an entry that may come again (a retry request is asked or answered
// again, an account is recovered twice) into today's queue of a device, and wakes its event
// stream. While the very same entry waits there, it only wakes, so that repeats
// do not fill the queue.
func (s *Service) Push(ctx context.Context, a identity.AccountID, d identity.DeviceID, e records.Entry, expires identity.Time) error {
	now := s.now()
	if expires < now {
		return nil
	}
	day := now.Day()
	p, midnight := records.DayPartition(a, day), identity.Time(uint64(day))*identity.Time(24*time.Hour/time.Millisecond)
	like, value := records.QueueLike(d, midnight, e), e.Encode()
	waiting, err := s.Store.Range(ctx, p, like, store.PrefixEnd(like), scanPage, false)
	if err != nil {
		return err
	}
	for _, rec := range waiting {
		if bytes.Equal(rec.Value, value) {
			s.Bus.Publish(queueTopic(a), entryName(day, rec.Key))
			return nil
		}
	}
	var random [4]byte
	if _, err := io.ReadFull(s.Rand, random[:]); err != nil {
		return err
	}
	key := records.QueueKey(d, midnight, e.Anew(random))
	if err := s.commit(ctx, p, new(store.Batch).PutOnce(key, value, int64(expires))); err != nil {
		return err
	}
	s.count("queued", records.EntryName(e.Kind))
	s.Bus.Publish(queueTopic(a), entryName(day, key))
	return nil
}

// queueTopic carries the names of an account's new queue entries; hints go out
// to all of its devices' streams, which pick their own.
func queueTopic(a identity.AccountID) string { return "queue/" + string(a[:]) }

// DirectoryTopic carries hints that an account's list or certificates changed.
func DirectoryTopic(a identity.AccountID) string { return "directory/" + string(a[:]) }

// SessionTopic carries hints that sessions of an account changed.
func SessionTopic(a identity.AccountID) string { return "sessions/" + string(a[:]) }

// BookTopic carries hints that an account's book has a new version.
func BookTopic(a identity.AccountID) string { return "book/" + string(a[:]) }

// entryName names a queue entry to the device: day and key.
func entryName(day uint32, key store.Key) []byte {
	return append(binary.BigEndian.AppendUint32(nil, day), key...)
}

// parseEntryName reads an entry's name; it must be one of the device's queue.
func parseEntryName(b []byte, d identity.DeviceID) (day uint32, key store.Key, ok bool) {
	prefix := records.QueueOf(d)
	if len(b) != 4+len(prefix)+16 || store.Key(b[4:4+len(prefix)]) != prefix {
		return 0, "", false
	}
	return binary.BigEndian.Uint32(b), store.Key(b[4:]), true
}
