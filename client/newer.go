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
	id := NewerID(p.Header)
	name := newerName(id)
	if _, ok := s.tx.get(name); ok || len(s.tx.names(prefixNewer)) >= maxNewer {
		return
	}
	s.tx.save(name, p)
	s.tx.put(expireName(s.now.Add(newerKept), name), present)
	s.show(Arrived{ID: id, Update: true})
}

// NewerID stands for the id of a message whose header is of a version that this
// program does not read: SHA-256 of the header (spec/message.md, section 1).
func NewerID(header []byte) message.ID { return sha256.Sum256(header) }

func newerName(id message.ID) string { return prefixNewer + hex.EncodeToString(id[:]) }

// isNewer tells whether a message of a newer version is kept under this id.
func (s *step) isNewer(id message.ID) bool {
	_, ok := s.tx.get(newerName(id))
	return ok
}

// newerMessages are the messages of newer versions, as far as anything is known
// of them.
func (s *step) newerMessages() (all []Message) {
	for _, name := range s.tx.names(prefixNewer) {
		if id, err := message.ParseID(name[len(prefixNewer):]); err == nil {
			all = append(all, Message{ID: id, State: Update})
		}
	}
	return all
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
