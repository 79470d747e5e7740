// Package blob keeps ciphertext that is too long for a message. It is the
// server's part of spec/blob.md: uploads in parts that outlive either side,
// range reads by capability, references from messages, and the collector.
//
// # What is kept where
//
// Bytes lie in [Bytes] (a folder: package folder), under a random [Object] name
// that the server picks for each upload. Which object is a blob, and whether it
// may be referred to, is decided in the store:
//
//	U/account        up/blob,object   once     an upload in progress
//	                 own/blob,object  once     bytes that the account takes
//	O/blob           st               decided  live, dying, doomed, or gone (empty)
//	                 ref/account,msg  once     a message that needs the blob
//	D/hour/shard     due/...          once     what the janitor must look at
//	D                due-low          decided  the first hour it still reads
//
// # Why a crash loses nothing
//
// A due record is durable before the bytes or the reference that it watches, and
// is deleted only after what it asked for is done and known to be done. So
// whatever was going on when the process died, the janitor comes by again.
//
// Upload: due, up, empty object; then parts, each durable when acknowledged;
// then due for the grace, and st absent -> live. A blob is live only with all of
// its bytes on disk. An upload that was never completed is given up in the order
// up deleted, st touched, bytes deleted; a completion reads in the order st, up,
// bytes and commits under the st it read, so of the two exactly one happens.
//
// Collection: st live -> dying, then look for references, then back to live, or
// doomed; then bytes deleted and st -> gone. A reference is added only under the
// condition that st is live and unchanged. So a reference committed before dying
// is seen by the look, and after dying none is added: a send that succeeded keeps
// its blob. What a look found is decided before bytes are deleted, since two
// collectors may look on both sides of the drop of the last reference. Who finds
// a blob dying or doomed may finish the work of the collector that died over it.
//
// # Concurrency
//
// A [Service] is safe for concurrent use, and several may share one store and
// one folder service; each runs its own janitor. Nothing is kept in memory that
// matters after a restart.
package blob
