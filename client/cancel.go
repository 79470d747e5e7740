package client

import (
	"encoding/hex"
	"errors"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/message"
)

// ErrCanceled: the user took a message back before it was handed to the server.
var ErrCanceled = errors.New("client: taken back before it was sent")

// Cancel takes queued messages back, as far as no request was made for them: a
// message whose request may have reached the server stays.
type Cancel struct{ Clients []message.ClientID }

func (Cancel) event() {}

func (s *step) cancel(ev Cancel) error {
	for _, c := range ev.Clients {
		name := prefixQueue + hex.EncodeToString(c[:])
		if q := load[state.Queued](&s.tx, name); q != nil {
			s.unqueue(name, q, ErrCanceled)
		}
	}
	return nil
}
