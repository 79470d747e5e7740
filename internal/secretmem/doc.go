// Package secretmem is about what secrets leave in the memory of a process, and
// what a program in Go can do about it.
//
// The language gives no promise here: the collector frees memory and does not
// clear it, stacks are copied when they grow, libraries make copies of keys that
// nobody outside can reach. So nothing of this package is a guarantee. [New] keeps
// secrets out of swap and core files, [Do] off the stacks of callers, and [Scrub],
// or [Soon] in a moment, overwrites after a logout all the garbage that it can
// make the runtime hand out. What works is measured: a
// test of the root package reads the memory of a process before a logout and
// after, and looks for the keys it had.
//
// While an account is open its keys are in memory, and who may read the memory
// of the process has them.
//
// All functions may be called from several goroutines.
package secretmem
