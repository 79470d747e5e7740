package reseal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/reseal/reseal/api/mux"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/opaque"
)

// which tells whether it is the server that is meant which answers
// (spec/login.md, section 6.1). It is safe for concurrent use.
type which struct {
	mu sync.Mutex
	// pinned is the key of the server that is meant, zero for any.
	pinned opaque.ServerKey
	// proved is the key that the newest connection's server has.
	proved opaque.ServerKey
}

// ask is mux.DialOptions.Ask: each connection proves its server's key before it
// is shown the session.
func (w *which) ask() ([]byte, func([]byte) error, error) {
	c, err := opaque.NewChallenge(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	return c.Bytes(), func(answer []byte) error { return w.check(c, answer) }, nil
}

func (w *which) check(c *opaque.Challenge, answer []byte) error {
	k, err := c.Check(answer)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.pinned.IsZero() && (err != nil || k != w.pinned):
		return link.ErrOtherServer
	case err != nil:
		return fmt.Errorf("%w: %w", mux.ErrNotReseal, err)
	}
	w.proved = k
	return nil
}

// pin holds every later connection to the server that has answered.
func (w *which) pin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pinned = w.proved
}

// key is that of the server that is meant, zero for any.
func (w *which) key() opaque.ServerKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pinned
}

// finish makes the record of a registration at the server that answers, which
// must be the one that the response is for: the next login is good there only.
func (w *which) finish(reg *opaque.Registration, response []byte) (record []byte, export opaque.ExportKey, err error) {
	k, err := opaque.RegisteredAt(response)
	if err == nil && k != w.key() {
		err = errors.New("registration for another server's key")
	}
	if err == nil {
		record, export, err = reg.Finish(response)
	}
	if err != nil {
		return nil, export, as(ErrServer, err)
	}
	return record, export, nil
}
