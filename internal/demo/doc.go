// Package demo tells the whole story of Reseal on one machine, in one command:
// a real server process with its store in a folder, installations of three
// people in folders of their own, and everything that the project promises
// happening between them, verified.
//
// # How it keeps itself honest
//
// Installations are package reseal as an app uses it, and the server is
// `reseal serve`. Nothing in either knows of the demonstration. What it has to
// make happen, it makes happen from outside:
//
//   - A network that stalls in the right moment is a [wire]: a proxy between
//     the installations and the server, which can hold the next send back.
//   - Another day is the clock of Options.Now, and a server that was started
//     anew with --clock-offset.
//   - The secrets that are searched for at the server are collected where they
//     come to be: randomness that installations draw for keys ([keyring]),
//     session tokens on the wire, passwords, recovery codes, contents.
//
// Every file received is compared with the one sent, byte for byte. Every
// message sent has a [parcel] that says what was promised of it; a promise that
// was not kept is a lost message.
//
// # Output
//
// A [narrator] writes a line a step, for people or as JSON. A step that fails
// ends the story; what the server saw and the figures are told all the same,
// and [Run] returns [ErrBroken].
package demo
