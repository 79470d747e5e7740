package records

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/store"
)

// Schema is the kind of every key above.
var Schema = store.Schema{
	{Prefix: "id", Kind: store.Decided},
	{Prefix: "pw", Kind: store.Decided},
	{Prefix: "list", Kind: store.Decided},
	{Prefix: "lists/", Kind: store.Once},
	{Prefix: "share/", Kind: store.Decided},
	{Prefix: "book", Kind: store.Decided},
	{Prefix: "part/", Kind: store.Once},
	{Prefix: "sess/", Kind: store.Decided},
	{Prefix: "cert/", Kind: store.Once},
	{Prefix: "epoch/", Kind: store.Decided},
	{Prefix: "block/", Kind: store.Decided},
	{Prefix: "m/", Kind: store.Once},
	{Prefix: "s/", Kind: store.Once},
	{Prefix: "w/", Kind: store.Once},
	{Prefix: "e/", Kind: store.Decided},
	{Prefix: "c/", Kind: store.Once},
	{Prefix: "l/", Kind: store.Decided},
	{Prefix: "r/", Kind: store.Once},
	{Prefix: "q/", Kind: store.Once},
	{Prefix: "key", Kind: store.Decided},
	{Prefix: "reset", Kind: store.Decided},
	{Prefix: "knows/", Kind: store.Once},
	{Prefix: "strangers", Kind: store.Decided},
	{Prefix: "inv/", Kind: store.Decided},
}

// The keys with one record to a partition, and the prefixes of the others.
const (
	HandleID = store.Key("id")
	Pw       = store.Key("pw")
	List     = store.Key("list")
	Book     = store.Key("book")
	ResetKey = store.Key("reset")
	// StrangersKey is where the strangers of a day are.
	StrangersKey = store.Key("strangers")

	Lists      = store.Key("lists/")
	SharesAll  = store.Key("share/")
	Parts      = store.Key("part/")
	Sess       = store.Key("sess/")
	Certs      = store.Key("cert/")
	Epochs     = store.Key("epoch/")
	Blocks     = store.Key("block/")
	Acquainted = store.Key("knows/")
	Messages   = store.Key("m/")
	Copies     = store.Key("s/")
	Wraps      = store.Key("w/")
	Ends       = store.Key("e/")
	Receipts   = store.Key("c/")
	Claims     = store.Key("l/")
	Requests   = store.Key("r/")
	Queue      = store.Key("q/")
)

// Where the store notes which key file it belongs to.
const (
	ServerPartition = store.Partition("S")
	ServerKey       = store.Key("key")
)

func be8(n uint64) store.Key { return store.Key(binary.BigEndian.AppendUint64(nil, n)) }

// HandlePartition holds what a handle names.
func HandlePartition(handle string) store.Partition { return store.Partition("H/" + handle) }

// AccountPartition holds an account's own records.
func AccountPartition(a identity.AccountID) store.Partition {
	return store.Partition("A/" + string(a[:]))
}

// DayPartition holds an account's messages of one day.
func DayPartition(a identity.AccountID, day uint32) store.Partition {
	return store.Partition(binary.BigEndian.AppendUint32([]byte(Days(a)), day))
}

// Days is what the names of all day partitions of an account begin with.
func Days(a identity.AccountID) store.Partition { return store.Partition("T/" + string(a[:]) + "/") }

// MessagePartition is the day partition of an account that a message lies in.
func MessagePartition(a identity.AccountID, id message.ID) store.Partition {
	return DayPartition(a, id.Day())
}

// ListKey is a past version of the device list.
func ListKey(version uint64) store.Key { return Lists + be8(version) }

// ShareKey is the server's share of a section.
func ShareKey(row [32]byte) store.Key { return SharesAll + store.Key(row[:]) }

// SessionKey is a session, by the hash of its token.
func SessionKey(hash [32]byte) store.Key { return Sess + store.Key(hash[:]) }

// PartKey is one part of the book that a writer put; the head names the writer
// whose parts stand. A writer is one try to write: the time it began, 8 bytes,
// and 8 random ones.
func PartKey(writer [16]byte, n int) store.Key {
	return Parts + store.Key(writer[:]) + "/" + be8(uint64(n))[6:]
}

// WriterOfKey reads the writer out of a part's key.
func WriterOfKey(k store.Key) (w [16]byte, ok bool) {
	if len(k) != len(Parts)+len(w)+1+2 || k[:len(Parts)] != Parts {
		return w, false
	}
	return [16]byte([]byte(k[len(Parts) : len(Parts)+len(w)])), true
}

// CertKey is a device's certificate of one epoch; CertsOf is their prefix.
func CertKey(d identity.DeviceID, epoch uint64) store.Key { return CertsOf(d) + be8(epoch) }

// CertsOf is the prefix of a device's certificates, in the order of epochs.
func CertsOf(d identity.DeviceID) store.Key { return Certs + store.Key(d[:]) + "/" }

// EpochKey is which of a device's epochs was published last. Every certificate
// after a device's first is put under a condition on it: of two for one epoch
// one is put.
func EpochKey(d identity.DeviceID) store.Key { return Epochs + store.Key(d[:]) }

// BlockKey is the account's choice about another account.
func BlockKey(a identity.AccountID) store.Key { return Blocks + store.Key(a[:]) }

// MessageKey is a pending message of the recipient.
func MessageKey(id message.ID) store.Key { return Messages + store.Key(id[:]) }

// CopyKey is the sender's copy of a message.
func CopyKey(id message.ID) store.Key { return Copies + store.Key(id[:]) }

// WrapKey is a wrap that came after its message, for an epoch of a device, by a
// device in the name of an account key, of which the first 8 bytes are enough to
// tell it from the one before a rotation. WrapsOf is the prefix of all of a
// message's.
func WrapKey(id message.ID, to, from identity.DeviceID, epoch uint64, by identity.AccountPublic) store.Key {
	return WrapsOf(id) + store.Key(to[:]) + "/" + store.Key(from[:]) + "/" + be8(epoch) + "/" + store.Key(by[:8])
}

// WrapsOf is the prefix of the wraps that came after their message.
func WrapsOf(id message.ID) store.Key { return Wraps + store.Key(id[:]) + "/" }

// EndKey is the end record of a message.
func EndKey(id message.ID) store.Key { return Ends + store.Key(id[:]) }

// ReceiptKey is one receipt of one device.
func ReceiptKey(id message.ID, d identity.DeviceID, what message.What) store.Key {
	return Receipts + store.Key(id[:]) + "/" + store.Key(d[:]) + "/" + store.Key([]byte{byte(what)})
}

// ClaimKey is who is viewing a message.
func ClaimKey(id message.ID) store.Key { return Claims + store.Key(id[:]) }

// RequestKey is an open retry request.
func RequestKey(id [32]byte) store.Key { return Requests + store.Key(id[:]) }

// QueueOf is the prefix of a device's queue entries of one day.
func QueueOf(d identity.DeviceID) store.Key { return Queue + store.Key(d[:]) + "/" }

// QueueMark tells a device's queue entries of one time apart.
type QueueMark [10]byte

// QueueKey is one queue entry: the time of what it tells of, of which the lower
// 48 bits are taken, and which entry it is. Entries are in the order of those
// times as far as clocks go; nobody relies on it.
func QueueKey(d identity.DeviceID, at identity.Time, mark QueueMark) store.Key {
	return queueAt(d, at) + store.Key(mark[:])
}

// QueueLike is the prefix of the entries that tell of the very same at the same
// time, and of hardly any others: a reader compares their values.
func QueueLike(d identity.DeviceID, at identity.Time, e Entry) store.Key {
	mark := e.Mark(nil)
	return queueAt(d, at) + store.Key(mark[:likeSize])
}

// likeSize is how much of a mark follows from the entry alone in the key of one
// that may come again; the rest is random.
const likeSize = 6

// Anew is a mark for an entry that may come again after it was taken out: its
// key is a fresh one, under [QueueLike].
func (e Entry) Anew(random [4]byte) QueueMark {
	mark := e.Mark(nil)
	copy(mark[likeSize:], random[:])
	return mark
}

// Mark follows from what the entry tells of, and from which: what else the entry
// belongs to, so that two wraps for one message have two entries.
func (e Entry) Mark(which []byte) QueueMark {
	h := sha256.New()
	h.Write([]byte("reseal/1 queue entry\x00"))
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(which))))
	h.Write(which)
	h.Write(e.Encode())
	return QueueMark(h.Sum(nil)[:len(QueueMark{})])
}

func queueAt(d identity.DeviceID, at identity.Time) store.Key {
	return QueueOf(d) + be8(uint64(at))[2:]
}

// MessageOfKey reads the message id out of a key of a T partition: m, s, w, e,
// c and l keys.
func MessageOfKey(k store.Key) (id message.ID, ok bool) {
	if len(k) < 2+len(id) {
		return id, false
	}
	return message.ID([]byte(k[2 : 2+len(id)])), true
}
