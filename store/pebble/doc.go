// Package pebble keeps records in one data folder on this machine, with the
// Pebble engine (github.com/cockroachdb/pebble). It is the default engine.
//
// # Life of a commit
//
// Commit validates the batch and hands it to the one committer goroutine. That
// takes everything that waits, without a timer, and for each batch in turn
// judges its conditions against the database plus what the batches before it
// in this group will leave. What holds is added to one Pebble batch; that is
// written and synced once; then all of the group are answered, the refused as
// well, since a refusal may rest on a write of the same group. Meanwhile the
// next group gathers. So one sync pays for as many commits as are waiting.
//
// # Crash argument
//
// Only the committer writes rows. A crash before the sync of a group leaves a
// prefix of the write-ahead log: each Pebble batch is one record in it with a
// checksum, so the group is there as a whole or not at all, and nobody was
// answered. A crash after the sync leaves the group, whether answered or not; a
// caller without answer has an unknown outcome. Row, expiry index and revision
// floor change in the same Pebble batch and cannot come apart. Recovery is the
// normal start: Pebble replays its log.
//
// Pebble shows a batch to readers before its sync has ended. A reader that acted
// on that could see it undone by a loss of power, so a read that touches
// something of the group in flight waits for that group before it answers.
//
// # Layout
//
//	'r' ‖ partition ‖ key                row: kind, revision, expiry, [token], value
//	'x' ‖ expiry, 8 bytes ‖ partition ‖ key   expiry index, empty
//	'm' ‖ name                           format, kinds of the schema, revision floor
//
// The partition stands with each 0x00 as 0x00 0xff and ended by 0x00 0x01, so
// that none is a prefix of another and order is bytewise; the key stands last
// and raw. Integers are big-endian. A sweep in the background deletes rows a
// while after their expiry, a few at a time, through the committer. The
// revision floor is the highest revision of any decided record swept so far;
// records that come anew start above it, so that no revision is ever used twice.
//
// In the data folder "db" is Pebble's own folder, "LOCK" keeps other processes
// out, and "closed" stands there from an orderly end to the next start.
//
// # When the disk does not do its part
//
// Before each group the free space is asked for. Below [Options].MinFree
// commits end in [store.ErrFull] without effect, and reads go on: Pebble itself
// cannot survive a log that it fails to write, so it is kept from meeting that.
// If a write or sync fails all the same, or Pebble calls for its end in any other
// way, the store stops as in a crash: waiting commits are unknown, later calls
// get [store.ErrFailed], [Store.Failed] is closed, and the process should end.
// What a file system holds after a failed sync cannot be known from inside; the
// next start reads what is there.
//
// Damaged files are [store.ErrDamaged]. After an orderly end a hash over the
// folder shows any change. After a crash damage in log or manifest shows by
// good parts behind it; only damage to what was synced last of all cannot be
// told from the end that a crash tears, and what it held is then gone unseen.
//
// Table files have a checksum for each block. A start compares them all up to
// some hundred MiB; damage beyond, or that comes later, is met by whoever reads
// it first, a compaction included. Then the store stops as after a disk error,
// with [store.ErrDamaged] as well: what is damaged has to be put back from a
// copy, and whatever were acknowledged meanwhile would be lost by that. The file
// "damaged" is left in the data folder, and makes the next start read all.
package pebble
