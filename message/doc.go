// Package message holds the records of one message: its id and header, the
// wrap of its key in encoded form, the request that sends it, receipts and end
// records.
//
// Client and server share it, so it knows nothing of content: package seal
// encrypts content, package wrap seals and opens content keys. Here are the
// exact bytes that both sides read, the rules by which either refuses them, and
// the MAC that makes a receipt.
//
// The normative text is spec/message.md, and spec/wrap.md for [WrapContext] and
// [Wrap]. The package does no I/O, reads no clock and logs nothing. All its
// values are plain data: safe for concurrent use as long as nobody changes them.
//
// # Errors
//
// A parser returns [ErrMalformed] for bytes that no version of the format
// explains and [ErrVersion] for a version above [Version]. The difference
// matters: a record of a newer version waits until the program is updated, a
// malformed one counts as absent and is asked for again.
package message
