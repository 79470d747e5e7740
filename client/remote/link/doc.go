// Package link keeps one connection to the server alive.
//
// A [Link] is a [connect.Transport] over package api/mux: it connects at once,
// reconnects with exponential backoff and full jitter (a server that comes
// back is not met by all clients at the same moment), and moves on when the
// server says that it goes away. A call made while there is no connection
// waits for the next one, bounded by its context, or fails at once where that
// was asked for (Options.FailFast, [FailFast]).
//
// A call that was under way when the connection broke fails with
// CodeUnavailable and is never repeated here: whether it took effect is
// unknown, and only the caller knows how to ask. Streams end likewise; the
// caller opens them again on the next [Connected].
//
// Four answers are told apart, since people do different things about them:
// [ErrOffline], [ErrNotReseal], [ErrOtherServer], [ErrSessionEnded].
package link
