package mailbox

import (
	"strings"
	"sync"

	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// expiring is what Expired remembers of the records before: receipts come with
// their message, in one partition and with one expiry, before it.
type expiring struct {
	mu        sync.Mutex
	partition store.Partition
	expires   int64
	received  map[message.ID]bool
}

// Expired takes a record that the store deletes because its time is over (see
// store.Expirer), and counts the messages among them: those that some device of
// the recipient had said it could read, and those that nobody had.
func (s *Service) Expired(p store.Partition, r store.Record) {
	receipt := strings.HasPrefix(string(r.Key), string(records.Receipts))
	if !receipt && !strings.HasPrefix(string(r.Key), string(records.Messages)) {
		return
	}
	id, ok := records.MessageOfKey(r.Key)
	if !ok || !strings.HasPrefix(string(p), "T/") {
		return
	}
	e := &s.expiring
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.partition != p || e.expires != r.Expires {
		e.partition, e.expires, e.received = p, r.Expires, map[message.ID]bool{}
	}
	switch {
	case receipt:
		e.received[id] = true
	case e.received[id]:
		s.count("messages_expired", "received")
	default:
		s.count("messages_expired", "unread")
	}
}
