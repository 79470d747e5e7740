package quota

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits are the quotas of an account. 0 is none but the protocol's.
type Limits struct {
	Pending      int64 // messages that wait for an account
	PendingBytes int64 // and their bytes, as stored
	Sent         int64 // messages that an account sent and that are not over
	Blobs        int64 // files that an account uploaded
	BlobBytes    int64 // and their bytes
	Blocked      int64 // accounts that an account has blocked, at most MaxBlocked
	Book         int64 // bytes of the contact book, sealed, at most MaxBook
}

// Default are the quotas of a server for people: far above what they have.
func Default() Limits {
	return Limits{
		Pending: 50_000, PendingBytes: 1 << 30, Sent: 50_000, Blobs: 20_000, BlobBytes: 256 << 30, Blocked: MaxBlocked, Book: 1 << 20,
	}
}

// What the protocol allows, whatever an operator does.
const (
	MaxBlocked = 1000
	MaxBook    = 1280 << 10 // bytes, sealed
)

// kinds are the names of the quotas, as operators and refusals have them.
var kinds = []struct {
	name, what string
	most       int64 // 0 where the protocol has no end
	field      func(*Limits) *int64
}{
	{"pending", "messages that wait for the recipient", 0, func(l *Limits) *int64 { return &l.Pending }},
	{"pending-bytes", "bytes of messages that wait for the recipient", 0, func(l *Limits) *int64 { return &l.PendingBytes }},
	{"sent", "messages sent that are not over", 0, func(l *Limits) *int64 { return &l.Sent }},
	{"blobs", "files kept at the server", 0, func(l *Limits) *int64 { return &l.Blobs }},
	{"blob-bytes", "bytes of files kept at the server", 0, func(l *Limits) *int64 { return &l.BlobBytes }},
	{"blocked", "accounts blocked", MaxBlocked, func(l *Limits) *int64 { return &l.Blocked }},
	{"book", "bytes of the contact book", MaxBook, func(l *Limits) *int64 { return &l.Book }},
}

// What are the words in which a refusal names a quota.
func What(name string) string {
	for _, k := range kinds {
		if k.name == name {
			return k.what
		}
	}
	return name
}

// Names are the names of all quotas, in the order of [Limits].
func Names() (all []string) {
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}

// Set changes one quota, by "NAME=N" as operators write it; NAME=off is none, or
// the protocol's where that has one, beyond which N is refused. N may end in K, M
// or G for 2^10, 2^20, 2^30.
func (l *Limits) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	i := slices.Index(Names(), name)
	if !ok || i < 0 {
		return fmt.Errorf("quota: %q: not NAME=N with a name among %s", text, strings.Join(Names(), ", "))
	}
	n, err := parse(value)
	if err != nil {
		return fmt.Errorf("quota: %q: not a number above 0, as in %s=%d", text, name, *kinds[i].field(ptr(Default())))
	}
	switch most := kinds[i].most; {
	case most > 0 && n == 0:
		n = most
	case most > 0 && n > most:
		return fmt.Errorf("quota: %q: the protocol allows %d at most", text, most)
	}
	*kinds[i].field(l) = n
	return nil
}

func ptr(l Limits) *Limits { return &l }

func parse(value string) (int64, error) {
	if value == "off" {
		return 0, nil
	}
	shift := 0
	if i := len(value) - 1; i >= 0 {
		if at := strings.IndexByte("KMG", value[i]); at >= 0 {
			value, shift = value[:i], 10*(at+1)
		}
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 || n > 1<<60>>shift {
		return 0, strconv.ErrRange
	}
	return n << shift, nil
}

// String is all quotas, as Set reads them.
func (l Limits) String() string {
	var all []string
	for _, k := range kinds {
		v := "off"
		if n := *k.field(&l); n > 0 {
			v = strconv.FormatInt(n, 10)
		}
		all = append(all, k.name+"="+v)
	}
	return strings.Join(all, " ")
}
