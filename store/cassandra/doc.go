// Package cassandra keeps the records of package store in an Apache Cassandra 5
// cluster, or in what speaks its protocol: the engine for several server nodes.
//
// # How the contract is kept
//
// All records are rows of one table, partitioned by the store's partition and
// ordered by its key ([Schema] has the table with the reasons). A batch without
// conditions is one unlogged batch of one partition, which a replica applies as one
// mutation; a batch with conditions is one lightweight transaction. Both are
// acknowledged by a quorum of the data centre.
//
// Reads of decided records are serial: they end what a transaction left half done,
// so that who sees one record of a batch sees the others. Reads of once records ask
// a quorum.
//
// A once record is stamped with its writer's clock and its delete [deleteAhead]
// later, so a delete beats a put that was handed over before it, also where clocks
// differ. The clocks of nodes may differ by [store.ClockTolerance].
//
// # Expiry
//
// The expiry stands in the row and is judged by the node that reads, or in the
// condition of a transaction. The database drops the row by itself [grace] later.
// Until then a new record takes the place of the expired one under a condition on
// its revision, so that revisions only grow.
//
// # What is repeated
//
// Reads and plain batches may be sent twice without harm and are: again on another
// host after an error, and to a second host at once when the first one is slow.
// Transactions are never marked so for the driver. [Store.Commit] repeats them
// itself and knows its own write by its token; a refusal behind an outcome that
// nobody knows is [store.ErrUnknown].
//
// # What is known of it
//
// No server uses this package yet. Its contract test needs a cluster and does
// nothing without the flag -cassandra, so the gate says nothing of it. Parts 02 to 17
// of package storetest's suite passed on a cluster of three nodes, with the code just
// before its last change; the check of linearizability has never been run.
package cassandra
