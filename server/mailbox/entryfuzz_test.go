package mailbox

import (
	"bytes"
	"strings"
	"testing"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/records"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// FuzzEntryName: a client hands names of queue entries back to acknowledge them.
// One that is taken must lie in the queue of that very device.
func FuzzEntryName(f *testing.F) {
	own := records.QueueOf(identity.DeviceID{7})
	f.Add(entryName(20000, own+store.Key(strings.Repeat("k", 16))))
	f.Add(entryName(20000, own+store.Key(strings.Repeat("k", 17))))
	f.Add(entryName(20000, records.QueueOf(identity.DeviceID{8})+store.Key(strings.Repeat("k", 16))))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		day, key, ok := parseEntryName(b, identity.DeviceID{7})
		if !ok {
			return
		}
		if !strings.HasPrefix(string(key), string(own)) {
			t.Errorf("%q is an entry of another device", key)
		}
		if !bytes.Equal(entryName(day, key), b) {
			t.Errorf("%x has a second form", b)
		}
	})
}

func FuzzRetryExtra(f *testing.F) {
	good := retryExtra{Requester: identity.AccountID{1}, Day: 20000, Request: [32]byte{2}, Part: []message.ID{{3}, {4}}}.Encode()
	f.Add(good)
	f.Add(good[:52])
	f.Add(good[:53])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRetryExtra(b); err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("%x has a second encoding", b)
		}
	})
}
