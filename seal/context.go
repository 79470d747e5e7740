package seal

import (
	"github.com/reseal/reseal/identity"
	"golang.org/x/crypto/cryptobyte"
)

// suite is the content suite of this package: 1, Cobblestone-256 with everything
// that spec/content.md lays around it.
const suite uint16 = 1

const (
	contextLabel = "reseal/1 content"
	contextSize  = len(contextLabel) + 2 + 1 + 16 + 16 + 8 + 8
	maxTime      = identity.Time(253402300799999) // end of the year 9999
)

// Context says what a content is sealed as. All of it, with suite and padded
// length, goes into the derivation of the key, so a content opens only as what
// it was sealed as.
type Context struct {
	Kind    uint8              // the message's kind, not 0
	Content ContentID          // fresh for each content, not zero
	Sender  identity.AccountID // who seals it, not zero
	Created identity.Time      // when, not 0
}

// Origin is the part of a [Context] that a reader takes from the message's
// header. Id and creation time stand in the segment list.
type Origin struct {
	Kind   uint8
	Sender identity.AccountID
}

func (c Context) valid() bool {
	return c.Kind != 0 && c.Content != ContentID{} && !c.Sender.IsZero() && c.Created != 0 && c.Created <= maxTime
}

// encode is the context argument of Cobblestone (spec/content.md, section 3).
func (c Context) encode(padded uint64) []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, contextSize))
	b.AddBytes([]byte(contextLabel))
	b.AddUint16(suite)
	b.AddUint8(c.Kind)
	b.AddBytes(c.Content[:])
	b.AddBytes(c.Sender[:])
	b.AddUint64(padded)
	b.AddUint64(uint64(c.Created))
	return b.BytesOrPanic()
}
