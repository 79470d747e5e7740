package mailbox

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/store"
)

// Push puts an entry into a device's queue and wakes its event stream.
func (s *Service) Push(ctx context.Context, a identity.AccountID, d identity.DeviceID, e records.Entry, expires identity.Time) error {
	return s.pushAll(ctx, a, []identity.DeviceID{d}, e, expires)
}

// pushAll puts an entry into the queues of several devices of an account.
func (s *Service) pushAll(ctx context.Context, a identity.AccountID, to []identity.DeviceID, e records.Entry, expires identity.Time) error {
	now := s.now()
	if len(to) == 0 || expires < now {
		return nil
	}
	b := new(store.Batch)
	names, err := s.enqueue(b, now, to, e, expires)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, records.DayPartition(a, now.Day()), b); err != nil {
		return err
	}
	s.hint(a, names)
	return nil
}

// enqueue adds an entry for each device to a batch on today's partition.
func (s *Service) enqueue(b *store.Batch, now identity.Time, to []identity.DeviceID, e records.Entry, expires identity.Time) (names [][]byte, err error) {
	value := e.Encode()
	for _, d := range to {
		var random [8]byte
		if _, err := io.ReadFull(s.Rand, random[:]); err != nil {
			return nil, err
		}
		key := records.QueueKey(d, now, random)
		b.PutOnce(key, value, int64(expires))
		names = append(names, entryName(now.Day(), key))
		s.count("queued", records.EntryName(e.Kind))
	}
	return names, nil
}

// hint wakes the streams of devices that have new entries; only after the commit.
func (s *Service) hint(a identity.AccountID, names [][]byte) {
	for _, n := range names {
		s.Bus.Publish(queueTopic(a), n)
	}
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
