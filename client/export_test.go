package client

import (
	"math"
	"reflect"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/identity"
)

// MaxFigures is how many bytes the record of figures takes when each of them is
// as large as it can be.
func MaxFigures() int {
	var f figures
	v := reflect.ValueOf(&f.Counters).Elem()
	for i := range v.NumField() {
		v.Field(i).SetUint(math.MaxUint64)
	}
	for i := range timesBuckets {
		f.atOnce.counts[i], f.retried.counts[i] = math.MaxUint64, math.MaxUint64
	}
	return proto.Size(f.record())
}

// MaxRemembered is how many of each kind a memory keeps.
const MaxRemembered = maxRemembered

// IsCertified is isCertified.
func (m *Memory) IsCertified(c *identity.SignedCertificate, d identity.Device) bool {
	return m.isCertified(c, d)
}

// Certified is how many verified certificates it remembers.
func (m *Memory) Certified() int { return m.certified.Len() }

// List is list.
func (m *Memory) List(b []byte) (*identity.SignedList, error) { return m.list(b) }

// Lists is how many lists it remembers.
func (m *Memory) Lists() int { return m.lists.Len() }
