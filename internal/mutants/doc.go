// Package mutants holds faults of one line each, planted one at a time, that the
// tests must catch: a check that is skipped, a field that is not authenticated, a
// record that is not synced. A fault that nobody catches is a fault of the tests.
//
//	go run ./internal/mutants/run            # all, 10 to 20 minutes
//	go run ./internal/mutants/run identity   # those whose name has it
//
// The tree is not touched: the go command is given the changed file as an overlay.
// For each fault it runs the packages that are to catch it, and no others.
package mutants
