// Package handover lets a command run in the process that owns the
// installation: two processes of one home at once are normal, but only one can
// hold the client database (package vault).
//
// The owner listens on "owner.sock" in the folder. A second process connects,
// hands over its arguments, working folder and RESEAL_* variables, and from
// then on is a terminal: it writes what the owner sends, asks the user what the
// owner asks, and exits with the owner's code.
//
// # Trust
//
// The folder is 0700 and the socket 0600; where the system tells who is at the
// other end (Linux, macOS) both sides refuse another user. What comes over the
// socket is still parsed strictly and with limits.
//
// # When the owner goes away
//
// Run returns ErrNoOwner when nobody listened, ErrSilent when somebody does and
// takes nothing (the owner may be stopped), and a *GoneError when the owner
// died. GoneError.Started tells whether the owner may have begun: if not, the
// caller takes the lock and runs the command itself. If it had begun, the
// command's effects are unknown, as after a crash of the caller itself; a
// command that is safe to repeat may be repeated as long as GoneError.Shown is
// false; or also then, if it shows the same again and GoneError.Read is false.
//
// # Flow control
//
// Standard input is read only as far as the owner asks for it, so a command
// that does not read leaves the input to the next one. Everything else is
// bounded by the socket's buffers.
package handover
