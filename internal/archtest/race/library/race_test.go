package library

import (
	"testing"

	"github.com/reseal/reseal/internal/archtest/race"
)

// TestRace covers the library as apps use it.
func TestRace(t *testing.T) { race.Detect(t, "../../../..", ".") }
