// Package owner runs the command's tests of homes that change hands under the race
// detector. It is apart from package command because together they may take longer
// than the ten minutes that go test gives a package.
package owner
