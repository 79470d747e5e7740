package records

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/reseal/reseal/handle"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/retry"
	"github.com/reseal/reseal/store"
)

// kept is one line of the table in the package documentation: what a key of a
// partition looks like, and that its value is that and nothing else.
type kept struct {
	partition string // prefix
	size      int    // of the rest of the partition's name; -1 for a handle
	key       store.Key
	keySize   int
	value     func(v []byte) bool
}

// again makes a check out of a parser and the encoding of what it parsed.
func again[V any](read func([]byte) (V, error), encode func(V) []byte) func([]byte) bool {
	return func(v []byte) bool {
		p, err := read(v)
		return err == nil && bytes.Equal(encode(p), v)
	}
}

func parses[V any](read func([]byte) (V, error)) func([]byte) bool {
	return func(v []byte) bool { _, err := read(v); return err == nil }
}

func anything(v []byte) bool { return len(v) > 0 }

const account, day = 16, 16 + 1 + 4

var table = []kept{
	{"S", 0, ServerKey, 3, again(ParseServerKey, EncodeServerKey)},
	{"I", 0, Invites, 4 + 32, again(ParseInvite, Invite.Encode)},
	{"H/", -1, HandleID, 2, again(ParseAccount, EncodeAccount)},
	{"A/", account, Pw, 2, again(ParsePassword, Password.Encode)},
	{"A/", account, List, 4, parses(identity.ParseSignedList)},
	{"A/", account, Lists, 6 + 8, parses(identity.ParseSignedList)},
	{"A/", account, SharesAll, 6 + 32, again(ParseShares, Shares.Encode)},
	{"A/", account, Book, 4, again(ParseBookHead, BookHead.Encode)},
	{"A/", account, Parts, 5 + 16 + 1 + 2, anything}, // sealed by the client
	{"A/", account, Sess, 5 + 32, again(ParseSession, Session.Encode)},
	{"A/", account, Certs, 5 + 16 + 1 + 8, parses(identity.ParseCertificate)},
	{"A/", account, Epochs, 6 + 16, again(ParseEpoch, EncodeEpoch)},
	{"A/", account, Blocks, 6 + 16, again(ParseBlock, EncodeBlock)},
	{"A/", account, ResetKey, 5, again(ParseReset, Reset.Encode)},
	{"A/", account, Acquainted, 6 + 4 + 16, again(ParseAcquainted, func(struct{}) []byte { return EncodeAcquainted() })},
	{"A/", account, StrangersKey, 9, again(ParseStrangers, Strangers.Encode)},
	{"T/", day, Messages, 2 + 32, isMessage},
	{"T/", day, Copies, 2 + 32, isMessage},
	{"T/", day, Wraps, 2 + 32 + 1 + 16 + 1 + 16 + 1 + 8 + 1 + 8, again(message.ParseWrap, (*message.Wrap).Encode)},
	// Without the account key, as it was before: such records live 30 days.
	{"T/", day, Wraps, 2 + 32 + 1 + 16 + 1 + 16 + 1 + 8, again(message.ParseWrap, (*message.Wrap).Encode)},
	{"T/", day, Ends, 2 + 32, again(message.ParseEndRecord, message.EndRecord.Encode)},
	{"T/", day, Receipts, 2 + 32 + 1 + 16 + 1 + 1, parses(message.ParseReceipt)},
	{"T/", day, Claims, 2 + 32, again(ParseClaim, Claim.Encode)},
	{"T/", day, Requests, 2 + 32, parses(retry.ParseRequest)},
	{"T/", day, Queue, 2 + 16 + 1 + 16, again(ParseEntry, Entry.Encode)},
}

func isMessage(v []byte) bool {
	m, err := ParseMessage(v)
	if err != nil || !bytes.Equal(m.Encode(), v) {
		return false
	}
	h, err := message.ParseHeader(m.Header)
	if err != nil || !bytes.Equal(h.Encode(), m.Header) {
		return false
	}
	for _, b := range m.Wraps {
		if _, err := message.ParseWrap(b); err != nil {
			return false
		}
	}
	return len(m.Inline) <= message.MaxInline && len(m.Segments) <= message.MaxInlineSegments
}

// Check tells whether a record is one that this package describes, down to its
// last byte; otherwise [ErrDamaged] with the kind of its key. It reports false
// where the key's partition is not of this package.
func Check(p store.Partition, rec store.Record) (known bool, err error) {
	for _, e := range table {
		rest, ok := strings.CutPrefix(string(p), e.partition)
		if !ok {
			continue
		}
		known = true
		switch {
		case e.size >= 0 && len(rest) != e.size, len(rec.Key) != e.keySize, !strings.HasPrefix(string(rec.Key), string(e.key)):
			continue
		case e.size < 0:
			if h, err := handle.Parse(rest); err != nil || string(h) != rest {
				continue
			}
		}
		if rec.Gone() || e.value(rec.Value) {
			return true, nil
		}
		return true, fmt.Errorf("%w: %s", ErrDamaged, e.key)
	}
	if known {
		err = fmt.Errorf("%w: a key that is not in the table", ErrDamaged)
	}
	return known, err
}
