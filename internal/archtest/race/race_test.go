package race

import "testing"

func TestRace(t *testing.T) { Detect(t, "../../..", Goroutines) }

func TestConcurrentCalls(t *testing.T) { Detect(t, "../../..", Concurrent) }
