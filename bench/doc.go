// Command bench measures this project beside the least that a server can do and
// beside servers that people would use instead, and writes docs/performance.md:
//
//	go run ./bench
//
// It builds the command, and puts it, the floor (internal/bench/floor) and the peers
// (bench/peers) through the same work: the same load from one process on the same
// cores, one after the other, taking turns, several runs. What is told is the median
// of the runs, with the least and the greatest, and the ratios. It wants a machine
// that does nothing else.
//
// A peer that is not on the machine is left out and named, with the line that
// installs it. NATS is built here, with the go command, in the user's cache folder
// and outside of this project's modules.
package main
