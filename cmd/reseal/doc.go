// Command reseal is the server (reseal serve) and the client of Reseal.
//
// # Shape
//
// A command is one file with a function that makes a cobra command out of a
// [cli]: what it reads and writes stands there, never in package os, because a
// client command may run in another process than the one it was typed in. Only
// one process can own an installation (package client/vault). The first one
// does, and runs the commands of the others for them (owner.go, package
// client/handover): the very same functions, with another cli.
//
// # Output
//
// Results go to standard output, progress and hints to standard error. With
// --json each result is one object on one line. Errors are "reseal: ..." and a
// line "hint: ..." with the way out; errors.go has the closed list of their
// codes, which "reseal help errors" prints. The exit code is 0 when done, 1 when
// it failed, 2 for wrong use.
package main
