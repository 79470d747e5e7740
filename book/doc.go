// Package book is the account book: what an account must know of its contacts
// wherever it signs in, and its settings. The normative text is spec/book.md.
//
// Devices change the book independently and the server keeps one version, so
// the book is made to be merged: [Merge] is commutative, associative and
// idempotent, and no order in which devices meet changes the outcome. What it
// cannot decide (two keys for one account) it keeps side by side, and
// [Contact.Current] refuses to name a key until the user picked.
//
// # Use
//
// A device opens the stored book ([Load]), merges its own into it, changes
// contacts by their methods, and stores the result under the next version
// ([Book.Store]). When the server has another version meanwhile, it starts
// over with that one.
//
// Nothing here does I/O or reads a clock. A Book is for one goroutine.
package book
