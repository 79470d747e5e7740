// Package seal encrypts contents: files and texts of up to 63.5 GiB, with their
// name, type, caption and thumbnail inside, padded so that the length of the
// ciphertext tells little. The format is spec/content.md: C2SP
// chunked-encryption, Cobblestone-256, with a digest over 1 MiB segments that
// a wrap authenticates.
//
// # Sealing
//
// [NewWriter] takes a fresh [CEK], a [Context] and a [Meta] with the size of the
// content. Write the content, Close, then take the [Result]: digest, ciphertext
// length and segment list. The padded length is bound into the key, so the
// size must be known before the first byte; for a source of unknown size, such as
// a pipe, put a [Spool] in between.
//
// # Opening
//
// [ParseSegments] checks the segment list against the digest from the wrap. From
// it, [Segments.NewReader] reads a stream and [Segments.NewReaderAt] any part.
// Neither gives out a byte before its whole segment matched the digest and its
// chunk opened. A content is complete only when the reader has returned io.EOF.
//
// # Promises
//
// Memory is constant apart from 32 bytes for each MiB in the segment list: about
// 32 KiB for a writer and 1 MiB for a reader. Nothing is allocated per chunk.
// Randomness comes in as an io.Reader and time as a value; the package does no
// I/O of its own, reads no clock and logs nothing. Values are safe for concurrent
// use where their type says so; a Writer, a Spool and a Reader are for one
// goroutine at a time.
//
// Every failure to open is [ErrOpen] with nothing to tell them apart: wrong key,
// altered, cut, extended, reordered. Only an error of the source itself, say of
// the network, is passed on, because the caller repeats those.
package seal
