// Package sim tries to break what Reseal promises: it plays random lives of a few
// accounts in package world's deterministic world (real engines, real handlers of
// the server on one to five nodes, real cryptography, a store in memory) with
// faults that a seed draws, then heals the world and checks what must be true.
// Calls are lost, doubled and late; networks part, one way or both, and flap;
// nodes die, and hints between them get lost; commits have outcomes that nobody
// knows; devices crash, come back as an old copy of themselves, and their disks
// lose power, run full, fail to sync, and rot; clocks jump and drift; accounts are
// rotated, and a month passes at once.
//
// One seed is one life: a [Plan] is drawn from it, data only, and played by one
// goroutine. The same seed gives the same plan and the same trace, byte for byte
// on every machine; the trace has a hash of all that is sent and stored. A plan
// that breaks an invariant is cut down to the least one that still does.
//
//	go run ./internal/sim/cmd -seeds 100000   # more lives, on all cores
//	go test ./internal/sim -run TestLives -sim.seed 1234 -sim.trace FILE -sim.hashes
package sim
