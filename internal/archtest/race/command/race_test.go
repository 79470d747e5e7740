package command

import (
	"testing"

	"github.com/reseal/reseal/internal/archtest/race"
)

// TestRace covers the command as a client (alone, as an agent, with others at
// its home) and as a server. What the other scripts do, they do in the same
// goroutines.
func TestRace(t *testing.T) {
	race.Detect(t, "../../../..", "-run", "TestScripts/^(agent|send|server|watch)$", "./cmd/reseal")
}
