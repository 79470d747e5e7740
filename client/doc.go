// Package client is the engine of a Reseal client: what one device of one
// account knows, and what follows from what happens to it.
//
// # Shape
//
// An Engine eats events (a command of the user, an answer or a stream event
// of the server, a tick of the clock) and gives back a batch of records to
// store and effects to carry out afterwards. It does no I/O, reads no clock,
// starts no goroutine: the same code runs natively, in a browser, on a phone
// and in a simulator.
//
// # Crash argument
//
// The caller stores the batch of a step durably before it carries out any of
// the step's effects, and every effect is safe to repeat. Which effects are
// outstanding is a function of the stored records alone (Outstanding), so a
// crash between any two lines loses nothing: after a restart the same effects
// come out again, with the same bytes where bytes were ever sent. What the
// engine keeps in memory only (the first tick that saw a message expired) may be
// lost without harm.
//
// # Trust
//
// Everything from the server is checked here before it changes a record:
// lists and certificates by signature and continuity (package identity),
// wraps by the opening checks (check.go, in the order of spec/message.md),
// receipts by their MAC, retry requests by the rules of spec/retry.md. The
// server's word alone ends no message and deletes no key.
//
// An Engine is not safe for concurrent use; one goroutine steps it.
package client
