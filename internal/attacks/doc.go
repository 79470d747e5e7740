// Package attacks is the table of what a lying server tries, alone, with thieves
// and with other recipients: each attack has a name, what it models, what must
// happen, and is a test. docs/attacks.md is written from the table.
//
// Most are played in package world's deterministic world: real engines and real
// handlers, and in between a server that says what the attack makes it say. The
// others need a real server and stand where their kind is tested; the table
// names their test. After every attack the same is checked as well: the lie was
// told at all, no key went to a device outside a list that its account signed,
// nothing that nobody sent is shown, no pinned key moved, and once the server is
// honest again what was held back opens and new messages pass both ways.
//
// It is for tests only.
package attacks
