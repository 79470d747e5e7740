// Package transfer uploads and downloads blobs: the client's half of
// spec/blob.md.
//
// Nothing of a transfer is kept here. An upload asks the server which parts it
// has, so it goes on after a crash of either side when it is called again with
// the same arguments. A download goes on at the offset up to which its caller
// has verified bytes.
//
// Broken connections and servers that are away are waited out with growing,
// jittered pauses until the context ends; [Remote].Waiting is told. Everything
// else is a *[Error] with the server's code, or one of the errors below, and a
// repeat would not help. A transfer that stands still for [Remote].Stall counts
// as broken.
//
// Both directions use constant memory: one copy buffer for each part under way,
// and one segment for a download.
package transfer
