// Package race runs the race detector over the packages with goroutines, as a
// test. It stands apart from package archtest because it takes minutes.
package race
