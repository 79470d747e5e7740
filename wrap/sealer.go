package wrap

import (
	"sync"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// DefaultPeers is how many peers a [Sealer] remembers when not told otherwise:
// some hundred contacts with a few devices each, 64 KiB in all.
const DefaultPeers = 1024

// Sealer is [Seal] and [Open] for one epoch auth key, remembering the static
// secret z of each peer. Nothing else of a wrap is ever kept: reusing an
// encapsulation would cost forward secrecy. A Sealer may be used concurrently.
type Sealer struct {
	auth   identity.EpochAuthKey
	public identity.EpochAuthPublic
	limit  int

	mu    sync.Mutex
	z     map[identity.EpochAuthPublic]*[32]byte
	order []identity.EpochAuthPublic // oldest first, for dropping
}

// NewSealer returns a Sealer for auth that remembers up to limit peers and drops
// the oldest beyond that. A limit below 1 means [DefaultPeers].
func NewSealer(auth identity.EpochAuthKey, limit int) *Sealer {
	if limit < 1 {
		limit = DefaultPeers
	}
	return &Sealer{auth: auth, public: auth.Public(), limit: limit, z: make(map[identity.EpochAuthPublic]*[32]byte)}
}

// Seal does what the function [Seal] does, with the same errors.
func (s *Sealer) Seal(ctx message.WrapContext, to identity.EpochPublic, toAuth identity.EpochAuthPublic,
	header message.Header, secret Secret) (message.Wrap, error) {
	if err := checkSeal(ctx, s.public, header, secret); err != nil {
		return message.Wrap{}, err
	}
	z, err := s.dh(toAuth)
	if err != nil {
		return message.Wrap{}, ErrKey
	}
	defer clear(z[:])
	return sealWith(ctx, to, &z, header, secret)
}

// Open does what the function [Open] does, with the same error.
func (s *Sealer) Open(w message.Wrap, epoch identity.EpochKey, fromAuth identity.EpochAuthPublic,
	header message.Header) (Secret, error) {
	if checkOpen(&w, fromAuth, header) != nil {
		return Secret{}, ErrOpen
	}
	z, err := s.dh(fromAuth)
	if err != nil {
		return Secret{}, ErrOpen
	}
	defer clear(z[:])
	return openWith(&w, epoch, &z, header)
}

// dh returns a copy, so that forgetting a peer cannot wipe a secret in use. It
// computes outside the lock: two callers may do the same work, and neither waits.
func (s *Sealer) dh(peer identity.EpochAuthPublic) ([32]byte, error) {
	s.mu.Lock()
	if z, ok := s.z[peer]; ok {
		c := *z
		s.mu.Unlock()
		return c, nil
	}
	s.mu.Unlock()
	z, err := s.auth.DH(peer)
	if err != nil {
		return [32]byte{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.z[peer]; !ok {
		s.remember(peer, z)
	}
	return z, nil
}

// remember is called with mu held.
func (s *Sealer) remember(peer identity.EpochAuthPublic, z [32]byte) {
	if len(s.order) == s.limit {
		s.forget(s.order[0])
		s.order = append(s.order[:0], s.order[1:]...)
	}
	s.z[peer] = &z
	s.order = append(s.order, peer)
}

// forget is called with mu held.
func (s *Sealer) forget(peer identity.EpochAuthPublic) {
	clear(s.z[peer][:])
	delete(s.z, peer)
}

// Wipe overwrites and forgets all remembered secrets. The Sealer stays usable;
// its auth key is the caller's to forget.
func (s *Sealer) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, peer := range s.order {
		s.forget(peer)
	}
	s.order = nil
}
