//go:build !js

package mux_test

import (
	"runtime"
	"testing"

	"github.com/reseal/reseal/api/mux"
)

// Answers that are ready at the same time go out together: one system call for
// all of them.
func TestAnswersShareAWrite(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // who is ready when is known then
	w := newWorld(t, mux.Options{})
	r := w.raw()
	r.hello()
	const calls, rounds = 16, 20
	n := 0
	for round := range uint32(rounds) {
		var all []byte
		for i := range uint32(calls) {
			all = append(all, callFrame(1+round*calls+i, echo)...)
		}
		r.bytes(all)
		n += r.messages(0x84, calls)
	}
	if n > rounds*calls/2 {
		t.Errorf("%d answers came in %d messages", rounds*calls, n)
	}
}
