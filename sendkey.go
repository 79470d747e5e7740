package reseal

import (
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/message"
)

// SendKey names one call of Send: 16 random bytes, which the caller draws and
// keeps until the call has returned. The zero value names none.
type SendKey [16]byte

// client is the client id of the message to one account: the same for the same
// key, and telling the server nothing that joins messages to several.
func (k SendKey) client(s Sent) message.ClientID {
	b := append([]byte("reseal send key"), k[:]...)
	sum := sha256.Sum256(append(b, s.Account[:]...))
	return message.ClientID(sum[:16])
}

func (a *Account) recipients(key SendKey, sent []Sent) ([]client.Recipient, error) {
	var all []client.Recipient
	for _, s := range sent {
		r := client.Recipient{Account: s.Account, Client: key.client(s)}
		if key == (SendKey{}) {
			if _, err := io.ReadFull(a.in.o.Rand, r.Client[:]); err != nil {
				return nil, err
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// taken looks which of the messages were taken before, under the same key. It
// returns those that were not, notes what is known of the others in sent, and
// takes out of open what nothing more will be told of.
func (a *Account) taken(key SendKey, to []client.Recipient, sent []Sent, open map[message.ClientID]int) ([]client.Recipient, error) {
	if key == (SendKey{}) {
		return to, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	var rest []client.Recipient
	for i, r := range to {
		s, err := a.engine.Sending(a.in.now(), r.Client)
		if err != nil {
			return nil, engineError(err)
		}
		if !s.Known {
			rest = append(rest, r)
		}
		if !s.Over {
			continue
		}
		delete(open, r.Client)
		sent[i].Message, sent[i].Devices = s.Message.ID, s.Devices
		if s.Message.State == client.Refused {
			sent[i].Message, sent[i].Err = MessageID{}, fmt.Errorf("reseal: refused before: %s", s.Message.Why)
		}
	}
	return rest, nil
}
