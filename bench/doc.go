// Command bench measures this project beside what the machine can do at the least
// price, and writes docs/performance.md:
//
//	go run ./bench
//
// It builds the command, and puts it and the floor (internal/bench/floor) through
// the same work: the same load from one process on the same cores, one after the
// other, alternating, several runs. What is told is the median of the runs, with
// the least and the greatest, and the ratio to the floor of the same runs. It
// takes some 5 minutes a run and wants a machine that does nothing else.
package main
