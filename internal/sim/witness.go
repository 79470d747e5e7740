package sim

import (
	"bytes"
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// witness remembers over a whole life what must never come twice, go back, or be
// seen outside its place.
type witness struct {
	secrets secrets
	told    int                  // how many messages of the life it has the keys of
	boxes   map[string]string    // what was sealed, by key and nonce
	lists   map[listAt]string    // the hash of a version
	known   map[[2]string]uint64 // the newest version that somebody knows of something
	adds    int                  // calls that add wraps
}

type listAt struct {
	account identity.AccountID
	version uint64
}

func newWitness() *witness {
	return &witness{boxes: map[string]string{}, lists: map[listAt]string{}, known: map[[2]string]uint64{}}
}

// bytes looks at all that goes to the server, comes from it, or is kept there: no
// key of a message, account, book or device is in it.
func (l *life) bytes(what string, b []byte) {
	x := l.witness
	for ; x.told < len(l.sent); x.told++ {
		x.secrets.add("the key of a message", l.sent[x.told].Content.CEK[:])
	}
	if name := x.secrets.in(b); name != "" {
		l.fail("%s has %s in it", what, name)
	}
}

// keep has the secrets of an account looked for.
func (x *witness) keep(a *world.Account) {
	book := a.Book.Bytes()
	x.secrets.add("an account key", a.Key.Seed())
	x.secrets.add("the next account key", a.Next.Seed())
	x.secrets.add("a book key", book[:])
}

// keepDevice has the secrets of a device looked for.
func (x *witness) keepDevice(d *world.Device) {
	x.secrets.add("a device key", d.Key.Seed())
	x.secrets.add("an epoch key", d.First.Key.Seed())
	x.secrets.add("an epoch auth key", d.First.Auth.Seed())
}

// sealed looks at what a request has that was sealed: where key and nonce are
// those of before, so are all bytes. An encapsulation makes a key of its own.
func (l *life) sealed(d *world.Device, req proto.Message) {
	one := func(keyAndNonce string, box []byte) {
		if was, ok := l.witness.boxes[keyAndNonce]; ok && was != string(box) {
			l.fail("%s sealed twice under one key and nonce", d.Name)
		}
		l.witness.boxes[keyAndNonce] = string(box)
	}
	var wraps [][]byte
	switch q := req.(type) {
	case *resealv1.SendRequest:
		wraps = slices.Concat(q.Wraps, q.Copies)
	case *resealv1.AddWrapsRequest:
		wraps = q.Wraps
		l.witness.adds++
	case *resealv1.PutBookRequest:
		// spec/book.md, "Stored": the nonce stands behind the head of the first
		// part and a version.
		const nonce = 46 + 2
		one(string(d.Account.ID[:])+string(q.Book.Parts[0][nonce:nonce+12]), bytes.Join(q.Book.Parts, nil))
	}
	for _, b := range wraps {
		if w, err := message.ParseWrap(b); err == nil {
			one(string(w.Enc[:]), b)
		}
	}
}

// versions of lists, epochs and contacts that a device knows never fall, unless it
// is an old copy of itself; and one version of a list is one list, for everybody.
func (l *life) versions(d *device) {
	own, certs, err := d.Engine.OwnKeys()
	if err != nil {
		l.fail("%s: own keys: %v", d.Name, err)
	}
	at, hash := listAt{own.List.Account, own.List.Version}, own.Hash()
	if was, ok := l.witness.lists[at]; ok && was != string(hash[:]) {
		l.fail("%s has another version %d of its own list than somebody else", d.Name, at.version)
	}
	l.witness.lists[at] = string(hash[:])
	rises := func(what, of string, v uint64) {
		k := [2]string{d.Name, what + of}
		if was := l.witness.known[k]; v < was {
			l.fail("%s went from version %d of %s back to %d", d.Name, was, what, v)
		}
		l.witness.known[k] = v
	}
	rises("its own list", "", own.List.Version)
	for _, c := range certs {
		if _, listed := own.Find(c.Certificate.Device); listed {
			rises("a device's epoch", string(c.Certificate.Device[:]), c.Certificate.Epoch)
		}
	}
	contacts := d.Engine.KnownContacts()
	for _, c := range contacts {
		rises("a contact's list", string(c.AccountId), c.ListVersion)
	}
	// A stranger of whom nothing is left is forgotten, and met anew.
	for _, a := range l.accounts {
		k := [2]string{d.Name, "a contact's list" + string(a.ID[:])}
		if !slices.ContainsFunc(contacts, func(c *resealv1.KnownAccount) bool { return string(c.AccountId) == string(a.ID[:]) }) {
			delete(l.witness.known, k)
		}
	}
}

// forget lets a device go back: it became an old copy of itself.
func (x *witness) forget(d *device) {
	for k := range x.known {
		if k[0] == d.Name {
			delete(x.known, k)
		}
	}
}

// secrets looks for many strings in many bytes.
type secrets struct {
	starts [1 << 16 / 64]uint64 // the first two bytes of each
	all    map[uint16][]secret
}

type secret struct {
	name string
	key  []byte
}

func (s *secrets) add(name string, key []byte) {
	first := binary.LittleEndian.Uint16(key)
	if s.all == nil {
		s.all = map[uint16][]secret{}
	}
	s.starts[first/64] |= 1 << (first % 64)
	s.all[first] = append(s.all[first], secret{name, key})
}

// in is the name of a secret that is in b, or nothing.
func (s *secrets) in(b []byte) string {
	for i := 1; i < len(b); i++ {
		first := uint16(b[i-1]) | uint16(b[i])<<8
		if s.starts[first/64]&(1<<(first%64)) == 0 {
			continue
		}
		for _, x := range s.all[first] {
			if bytes.HasPrefix(b[i-1:], x.key) {
				return x.name
			}
		}
	}
	return ""
}
