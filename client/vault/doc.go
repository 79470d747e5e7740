// Package vault is the client database of one installation: one file with a
// section for every account that ever logged in there, each sealed so that
// neither who has the folder, nor the server, nor both without the password
// opens it after logout. The format is spec/shares.md.
//
// # Keys
//
// A section's database key comes from two shares: the local share lies in the
// file, the server share lies at the server, itself sealed under a key that
// only the password brings (package capsule). The local share is drawn anew
// each time the section is sealed, so no key is ever used for two contents and
// what was deleted dies with the old share.
//
// # Files
//
// In the folder (0700): "lock", held by the one process that owns the
// installation; "vault", the sections, always replaced as a whole; one
// "journal-…" for each section that was written to since it was last sealed;
// one "session-…" for each account that is logged in.
//
// # Crash argument
//
// The file is written beside the old one, synced, renamed over it, and the
// folder is synced. A journal's name is derived from the local share of the
// section it continues, so sealing a section anew makes its old journal stale
// in the very rename that makes it superfluous: before the rename the old file
// and the old journal are the state, after it the new file alone is. A journal
// that belongs to no section of the file is removed, only once the rename is
// known to be durable, and only once a section has opened, which shows that the
// file is the one that the journals belong to. A commit is acknowledged after its frame is synced.
// So a crash anywhere leaves what was acknowledged, and at most one commit
// that was not.
//
// # Concurrency
//
// A Vault and its Sections may be used from several goroutines. Commits of one
// section that come at the same time share one sync.
package vault
