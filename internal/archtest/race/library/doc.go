// Package library runs the tests of the root package under the race detector. It
// is apart from package race because together they may take longer than the ten
// minutes that go test gives a package.
package library
