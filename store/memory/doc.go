// Package memory keeps records in memory: the store engine for tests and for
// the simulated world. It keeps the whole contract of package store but
// durability, which ends with the process.
//
// [Store.Node] gives further views of the same data with clocks of their own, as
// nodes of a distributed engine would have. [Options].Outcome makes commits end
// unknown, with their effect now, later or never, so that callers can be tried
// against what a distributed engine does on a bad day.
package memory
