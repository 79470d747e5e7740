// Package terminal is what the command shows to people and asks them: questions
// without echo, tables, progress bars, QR codes, sizes and times in words.
//
// Text that others wrote goes through [Line] or [Text] before it is shown: a
// name or message must not move the cursor, rename the window, or read backwards.
//
// Nothing here decides whether there is a terminal; callers do, since a command
// may run in another process than the one that has it (package handover).
package terminal
