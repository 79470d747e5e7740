package client

import (
	"math"
	"reflect"

	"google.golang.org/protobuf/proto"
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
