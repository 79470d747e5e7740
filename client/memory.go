package client

import (
	"sync"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/recent"
)

// Memory remembers what signed lists and certificates were read as, and which
// certificates a device has signed: the same few come with every message, and a
// signature takes 60 us to verify. It knows them by all of their bytes, so that it
// can tell nothing of any others, and nothing in it is secret. What did not pass
// is not remembered.
//
// Every engine has one; those of a process may share one with [Engine.Use]. Safe
// for concurrent use.
type Memory struct {
	mu           sync.Mutex
	lists        recent.Map[string, *identity.SignedList]
	certificates recent.Map[string, *identity.SignedCertificate]
	certified    recent.Map[certifiedBy, struct{}]
}

// maxRemembered bounds each of the three: a list of ten devices and a certificate
// are below 2 KiB.
const maxRemembered = 1024

// certifiedBy is a certificate with its signature, and the device of a list that
// signed it.
type certifiedBy struct {
	certificate string
	device      identity.DeviceID
	key         identity.DevicePublic
}

// NewMemory is an empty one.
func NewMemory() *Memory {
	return &Memory{
		lists:        recent.New[string, *identity.SignedList](maxRemembered),
		certificates: recent.New[string, *identity.SignedCertificate](maxRemembered),
		certified:    recent.New[certifiedBy, struct{}](maxRemembered),
	}
}

// Use has the engine remember in m, before its first step.
func (e *Engine) Use(m *Memory) { e.memory = m }

// list is [identity.ParseSignedList], once for the same bytes. What it returns is
// shared and must not be changed.
func (m *Memory) list(b []byte) (*identity.SignedList, error) {
	return remember(m, &m.lists, b, identity.ParseSignedList)
}

// certificate is [identity.ParseCertificate], once for the same bytes. What it
// returns is shared and must not be changed.
func (m *Memory) certificate(b []byte) (*identity.SignedCertificate, error) {
	return remember(m, &m.certificates, b, identity.ParseCertificate)
}

func remember[V any](m *Memory, in *recent.Map[string, V], b []byte, parse func([]byte) (V, error)) (V, error) {
	m.mu.Lock()
	v, ok := in.Get(string(b))
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := parse(b)
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	in.Put(string(b), v)
	return v, nil
}

// isCertified is c.Verify(d) == nil, once for the same bytes and device.
func (m *Memory) isCertified(c *identity.SignedCertificate, d identity.Device) bool {
	by := certifiedBy{string(c.Bytes()), d.ID, d.Key}
	m.mu.Lock()
	_, ok := m.certified.Get(by)
	m.mu.Unlock()
	if ok {
		return true
	}
	if c.Verify(d) != nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.certified.Put(by, struct{}{})
	return true
}
