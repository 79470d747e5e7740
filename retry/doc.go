// Package retry holds how a device gets a wrap that it lacks: the signed
// request, the rule by which a holder decides whether to answer, how a large
// request is dealt out among holders, and when an asker asks again.
//
// A retry is the one place where a server that lies could make a client give a
// key to somebody else, so the rule stands apart as a pure function with a
// reason for every refusal. The reasons are for tests and logs: on the wire a
// refusal and no answer look alike.
//
// The normative text is spec/retry.md. The package does no I/O, reads no clock
// and logs nothing. Its values are plain data.
package retry
