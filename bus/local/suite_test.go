package local_test

import (
	"testing"

	"github.com/reseal/reseal/bus"
	"github.com/reseal/reseal/bus/bustest"
	"github.com/reseal/reseal/bus/local"
)

func TestBus(t *testing.T) {
	bustest.Run(t, func(*testing.T) (bus.Bus, bus.Bus) {
		b := new(local.Bus)
		return b, b
	})
}
