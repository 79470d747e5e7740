package race

import "testing"

// TestRace covers the packages that start goroutines or are called from many.
// The deterministic packages start none (package archtest holds them to it);
// the root package is package library's.
func TestRace(t *testing.T) {
	Detect(
		t, "../../..", "./api/...", "./bus/...", "./client/handover", "./client/remote/...", "./client/vault", "./server/...",
		"./store/memory", "./store/pebble", "./wrap",
	)
}
