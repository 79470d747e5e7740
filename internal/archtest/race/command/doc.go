// Package command runs the command's scripts that have several processes at one
// home, streams and a server, under the race detector. It is apart from package
// race because together they may take longer than the ten minutes that go test
// gives a package.
package command
