package command

import (
	"testing"

	"github.com/reseal/reseal/internal/archtest/race"
)

// TestRace covers the command as an agent and a watch, with others at its home,
// and as the server of both. What the other scripts do, they do in the same
// goroutines.
func TestRace(t *testing.T) {
	race.Detect(t, "../../../..", "-run", "TestScripts/^(agent|watch)$", "./cmd/reseal")
}
