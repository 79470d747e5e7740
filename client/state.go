package client

import (
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

// State is the section of the client database that an engine reads. Names are
// ASCII, values at most a few tens of KiB, but for the book. What its methods
// return must not change afterwards; Range and Names go in bytewise order.
type State interface {
	Get(name string) (value []byte, ok bool)
	Range(prefix string) iter.Seq2[string, []byte]
	// Names are the names that Range goes through, without their values.
	Names(prefix string) []string
	// Size is about how many bytes all records take, names included.
	Size() int
}

// Write is one record of a batch; a nil Value deletes it.
type Write struct {
	Name  string
	Value []byte
}

// Batch is stored as a whole or not at all.
type Batch []Write

// The names of records. The indexes (wait, by, expire, due) hold empty values and are
// derived; everything else is described in internal/state/state.proto.
const (
	nameSelf      = "self"
	nameBook      = "book" // the account book, encoded as package book does
	nameCounters  = "counters"
	prefixEpoch   = "epoch/"
	prefixContact = "contact/"
	prefixHandle  = "handle/"
	prefixContent = "content/"
	prefixQueue   = "queue/"
	prefixOut     = "out/"
	prefixIn      = "in/"
	prefixEnd     = "end/"
	prefixAsk     = "ask/"
	prefixClose   = "close/"
	prefixAdd     = "add/"
	prefixAnswer  = "answer/"
	prefixPost    = "post/"
	prefixWait    = "wait/"     // wait/<message id>: in waiting state
	prefixExpire  = "expire/"   // expire/<time>/<kind>/<id>
	prefixResolve = "resolve/"  // resolve/<account id>: keys to be fetched
	prefixCert    = "cert/"     // cert/<account>/<device>/<epoch>: superseded certificates
	prefixActive  = "active/"   // active/<message id>: out messages not yet stored
	prefixUses    = "uses/"     // uses/<content id>/<message or client id>
	prefixClient  = "client/"   // client/<client id>: was taken for sending
	prefixNewer   = "newer/"    // newer/<hash>: a message of a version not read here
	prefixAsked   = "asked/"    // asked/<request id>: somebody's request, not yet judged
	prefixHeldAsk = "heldask/"  // heldask/<request id>: somebody's request, held back by an alarm
	prefixStrange = "stranger/" // stranger/<message id>
	prefixLeft    = "left/"     // left/<day>
	prefixBy      = "by/"       // by/<account id>/<message id>: waits, and is from or (a copy) to the account
	prefixAsking  = "asking/"   // asking/<message id>/<account id>: the name of the ask/ record under way
	prefixOpen    = "open/"     // open/<request id>: how many of its messages wait
	prefixDue     = "due/"      // due/<time>/<request id>: is to be repeated
	prefixLacks   = "lacks/"    // lacks/<message id>: of ours, may lack wraps until keys or an epoch are here
)

// present is the value of records whose name says it all: a record with an
// empty value would look like a deletion in some stores.
var present = []byte{1}

func epochName(n uint64) string               { return fmt.Sprintf("%s%016x", prefixEpoch, n) }
func contactName(a identity.AccountID) string { return prefixContact + a.String() }
func contentName(c seal.ContentID) string     { return prefixContent + hex.EncodeToString(c[:]) }
func outName(id message.ID) string            { return prefixOut + id.String() }
func inName(id message.ID) string             { return prefixIn + id.String() }
func endName(id message.ID) string            { return prefixEnd + id.String() }
func expireName(t identity.Time, what string) string {
	return fmt.Sprintf("%s%016x/%s", prefixExpire, uint64(t), what)
}

func usesName(content []byte, what string) string {
	return prefixUses + hex.EncodeToString(content) + "/" + what
}

func byName(a identity.AccountID, id message.ID) string {
	return prefixBy + a.String() + "/" + id.String()
}

func askingName(id message.ID, to identity.AccountID) string {
	return prefixAsking + id.String() + "/" + to.String()
}

func dueName(t identity.Time, request string) string {
	return fmt.Sprintf("%s%016x/%s", prefixDue, uint64(t), request)
}

func leftName(day uint32) string        { return fmt.Sprintf("%s%08x", prefixLeft, day) }
func strangerName(id message.ID) string { return prefixStrange + id.String() }

func certName(a identity.AccountID, d identity.DeviceID, epoch uint64) string {
	return fmt.Sprintf("%s%v/%v/%016x", prefixCert, a, d, epoch)
}

// tx is a step's view of the records: its own writes over the stored ones.
type tx struct {
	under State
	over  map[string]*[]byte
	order []string
	err   error
	// grown is about how many bytes the writes add.
	grown int
}

func (t *tx) get(name string) ([]byte, bool) {
	if v, ok := t.over[name]; ok {
		return *v, *v != nil
	}
	return t.under.Get(name)
}

func (t *tx) put(name string, value []byte) {
	if old, ok := t.over[name]; ok {
		t.grown -= len(*old)
	} else {
		t.order = append(t.order, name)
		t.grown += len(name)
	}
	t.grown += len(value)
	t.over[name] = &value
}

// size is about how many bytes the records take with the step's own writes;
// what those take away is not counted.
func (t *tx) size() int { return t.under.Size() + t.grown }

func (t *tx) delete(name string) {
	if _, ok := t.get(name); ok {
		t.put(name, nil)
	}
}

// names returns the names with a prefix, in order, the step's own writes
// included. It is a copy: the caller may write while it goes through them.
func (t *tx) names(prefix string) []string {
	var names []string
	for _, name := range t.under.Names(prefix) {
		if v, ok := t.over[name]; !ok || *v != nil {
			names = append(names, name)
		}
	}
	n := len(names)
	for _, name := range t.order {
		if strings.HasPrefix(name, prefix) && *t.over[name] != nil {
			if _, ok := t.under.Get(name); !ok {
				names = append(names, name)
			}
		}
	}
	if len(names) > n {
		slices.Sort(names)
	}
	return names
}

func (t *tx) batch() Batch {
	b := make(Batch, 0, len(t.order))
	for _, name := range t.order {
		b = append(b, Write{name, *t.over[name]})
	}
	return b
}

// load reads a record; absent gives nil. A record that cannot be read fails
// the whole step.
func load[T any, P interface {
	*T
	proto.Message
}](t *tx, name string) P {
	b, ok := t.get(name)
	if !ok {
		return nil
	}
	p := P(new(T))
	if err := proto.Unmarshal(b, p); err != nil {
		t.err = fmt.Errorf("%w: %s", ErrState, name[:strings.IndexByte(name+"/", '/')])
		return nil
	}
	return p
}

func (t *tx) save(name string, m proto.Message) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.err = fmt.Errorf("client: internal error: %w", err)
		return
	}
	if b == nil {
		b = []byte{}
	}
	t.put(name, b)
}

func (s *step) in(id message.ID) *state.In   { return load[state.In](&s.tx, inName(id)) }
func (s *step) out(id message.ID) *state.Out { return load[state.Out](&s.tx, outName(id)) }
func (s *step) contact(a identity.AccountID) *state.Contact {
	return load[state.Contact](&s.tx, contactName(a))
}

func (s *step) saveIn(id message.ID, m *state.In)   { s.tx.save(inName(id), m) }
func (s *step) saveOut(id message.ID, m *state.Out) { s.tx.save(outName(id), m) }
func (s *step) saveContact(c *state.Contact) {
	s.tx.save(contactName(identity.AccountID(c.Account)), c)
}
