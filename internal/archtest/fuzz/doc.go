// Package fuzz gives each fuzz target of the tree its turn: a run of the tests
// fuzzes a few of them for a minute, the next run others. It stands apart from
// package archtest because it takes minutes.
package fuzz
