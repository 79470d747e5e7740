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

// MaxCertified is how many verified certificates an engine remembers.
const MaxCertified = maxCertified

// IsCertified is isCertified.
func (e *Engine) IsCertified(c *identity.SignedCertificate, d identity.Device) bool {
	return e.isCertified(c, d)
}

// Certified is how many verified certificates the engine remembers.
func (e *Engine) Certified() int { return len(e.certified) }
