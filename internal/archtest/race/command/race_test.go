package command

import (
	"testing"

	"github.com/reseal/reseal/internal/archtest/race"
)

func TestRace(t *testing.T) { race.Detect(t, "../../../..", race.Command) }
