package client

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/message"
)

const (
	// maxNewer is how many messages of a newer version are kept.
	maxNewer = 256
	// maxNewerSize is the most that one of them takes, bytes.
	maxNewerSize = 64 << 10
)

// newerKept is how long they are kept at most, from when they came.
const newerKept = message.MaxLife + message.EndKept

// keepNewer keeps what this program cannot read for one that can.
func (s *step) keepNewer(p *resealv1.Pending) {
	s.count.Newer++
	if proto.Size(p) > maxNewerSize {
		return
	}
	sum := sha256.Sum256(p.Header)
	name := prefixNewer + hex.EncodeToString(sum[:])
	if _, ok := s.tx.get(name); ok || len(s.tx.names(prefixNewer)) >= maxNewer {
		return
	}
	s.tx.save(name, p)
	s.tx.put(expireName(s.now.Add(newerKept), name), present)
}

// rereadNewer looks whether this program is the one by now.
func (s *step) rereadNewer(name string) {
	p := load[resealv1.Pending](&s.tx, name)
	if p == nil {
		return
	}
	if _, err := message.ParseHeader(p.Header); errors.Is(err, message.ErrVersion) {
		return
	}
	s.tx.delete(name)
	s.arrived(p)
}
