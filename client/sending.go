package client

import (
	"encoding/hex"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// Sending is how far a Send command with a certain client id has come.
type Sending struct {
	// Known: the command was taken. The rest is zero without it.
	Known bool
	// Over: it is decided what became of it. Until then Stored or NotSent
	// follows.
	Over bool
	// Message is what was stored or refused; zero until it was built.
	Message Message
	// Devices of the recipient have a wrap.
	Devices int
}

// Sending tells how far a Send command has come, so that one that is repeated
// after a crash need not bring its content again.
func (e *Engine) Sending(now identity.Time, id message.ClientID) (Sending, error) {
	s := e.read()
	s.now = now
	if _, ok := s.tx.get(prefixClient + hex.EncodeToString(id[:])); !ok {
		return Sending{}, s.tx.err
	}
	for _, name := range s.tx.names(prefixOut) {
		out := load[state.Out](&s.tx, name)
		if out == nil || out.Copy || string(out.ClientId) != string(id[:]) {
			continue
		}
		m, err := s.outMessage(out)
		if err != nil {
			return Sending{}, err
		}
		r := Sending{Known: true, Over: out.State != outQueued, Message: m}
		for _, w := range out.Wrapped {
			if string(w.Account) == string(m.Peer[:]) {
				r.Devices++
			}
		}
		return r, s.tx.err
	}
	return Sending{Known: true}, s.tx.err
}
