package world

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/store"
)

// exactly is how a trace writes messages: the same bytes in every process.
var exactly = proto.MarshalOptions{Deterministic: true}

func (w *World) traceProto(what string, m proto.Message) {
	if w.Trace == nil {
		return
	}
	b, err := exactly.Marshal(m)
	w.Trace(what, must(w, b, err))
}

// traceBatch: what a device stores; nil deletes.
func (w *World) traceBatch(d *Device, batch client.Batch) {
	if w.Trace == nil || len(batch) == 0 {
		return
	}
	var b []byte
	for _, r := range batch {
		b = fmt.Appendf(b, "%q %x %v\n", r.Name, r.Value, r.Value == nil)
	}
	w.Trace("disk of "+d.Name, b)
}

func (w *World) traceCommit(p store.Partition, batch *store.Batch, err error) {
	if w.Trace == nil {
		return
	}
	b := fmt.Appendf(nil, "%q %v\n", p, err)
	for _, c := range batch.Conditions {
		b = fmt.Appendf(b, "%q is %d\n", c.Key, c.Rev)
	}
	for _, r := range batch.Writes {
		b = fmt.Appendf(b, "%d %q %s %x %d\n", r.Op, r.Key, r.Value, r.Token, r.Expires)
	}
	w.Trace("store", b)
}
