package race

import "testing"

// TestRace covers the packages that start goroutines or are called from many.
// The deterministic packages start none (package archtest holds them to it);
// the root package is package library's, the command is package command's.
func TestRace(t *testing.T) {
	Detect(
		t, "../../..", "./api/...", "./bus/...", "./client/handover", "./client/keyring", "./client/remote/...", "./client/vault",
		"./examples/...", "./internal/demo", "./internal/quota", "./internal/secretmem", "./internal/terminal", "./internal/unixsocket",
		"./resealtest", "./server/...", "./store/memory", "./store/pebble", "./wrap",
	)
}
