// Package store is the contract between the server and whatever keeps its
// records. It is small enough that an engine implements it natively: one read,
// one ordered read, one atomic write, and an expiry per record. The engines are
// in the folders below it; store/storetest is the suite that each must pass.
//
// # The contract in words
//
// A [Partition] is what must change together: one account, one handle, one
// account on one day, one blob. Inside it [Key]s are ordered bytewise.
// Partition and key are raw bytes; any byte may stand in them.
//
//   - Commit is atomic within one partition: a reader sees all of a [Batch] or
//     nothing of it. It is durable before it returns nil, but for deletes that
//     the caller wants no durability for ([Batch.Lazily]).
//   - A read that starts after a Commit returned nil sees it, from any node.
//     What a read has returned stays true after a loss of power.
//   - Range is ordered and has no gaps. Pages are not a snapshot: go on at
//     [After] the last key, and expect what was written in between.
//   - A record whose Expires has passed is absent: for Get, for Range and for
//     conditions alike, exact to [ClockTolerance]. Reads judge by the clock of
//     the node that answers.
//   - Sizes are limited (see [MaxValue] and its neighbours), the same in every
//     engine, and a batch that breaks a limit is refused before any effect.
//
// # Two kinds of record
//
// A [Schema] fixes the kind of every record by its key, for ever.
//
// A [Decided] record is one about which writers must agree: a list version, a
// view claim. Every write of it stands in a batch with a condition on this very
// record. It is never deleted; [Batch.Gone] overwrites it with an empty value.
// It carries a revision and its writer's [Token].
//
// A [Once] record is written without a condition, and never again with other
// bytes. Writing the same bytes again changes nothing. Its delete is final and
// never part of a batch with conditions: it beats every put of the key that was
// handed over before it, also one whose outcome nobody knows. To put a deleted
// key anew is a fault of the caller; an engine may show that record or not.
//
// Why two kinds: on a distributed engine, plain and conditional writes that met
// on one record let two writers win one condition and undid acknowledged
// deletes when clocks differed by a few seconds. With the kinds kept apart the
// clocks do not matter. Conditions are on decided records only.
//
// # Revisions
//
// A revision is 1 or more and grows with every write of its key, also over a
// gone value and over expiry, so that (key, revision) never names two values. A
// write under [Batch.RevIs] of r has the revision r+1. A write under
// [Batch.Absent] has a revision that the engine picks; nobody may count on 1.
// Once records have the revision 1.
//
// # How a commit ends
//
// Commit returns nil: all of it is durable. [*Refused]: a condition did not
// hold, nothing happened, and the current record of every condition is in the
// error. [ErrUnknown]: it may have happened, may happen later, or never; a
// cancelled context ends so. Any other error: nothing happened and nothing
// will.
//
// After an unknown outcome a caller repeats the batch. A repeat that is refused
// does not say that the first try failed: the caller reads again and asks
// whether its goal holds, which it knows by its own token in the record. An
// unknown commit may become visible much later, so nothing counts as stored
// until a repeat was acknowledged, and every look at other records comes after
// that. Of two writers that each commit and then read the other's record, at
// least one sees the other.
//
// # Stability
//
// The meaning of the three calls is what the server's correctness rests on and
// is promised to stay. Limits may grow, never shrink.
package store
