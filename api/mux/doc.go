// Package mux carries many RPC calls at once over one WebSocket, both halves.
//
// It is a second way to the same handlers that connect serves over HTTP: the
// server half ([Handler]) hands every call to a [connect.Server], the client
// half ([Conn]) is a [connect.Transport]. Unary and server-streaming calls are
// carried; events are a server-streaming call like any other. Client-streaming
// and bidirectional calls answer CodeUnimplemented.
//
// # Connection
//
// The client opens a WebSocket (RFC 6455) by GET [Path] with the subprotocol
// [Subprotocol], without compression: a secret and text chosen by others in
// one compressed stream would leak the secret by length. Its first frame is
// HELLO, with headers that apply to every call of the connection, the session
// token among them: never in a URL, where proxies and logs keep it. The server
// answers WELCOME, or END with call id 0 and closes. The client sends no call
// before WELCOME. The token is seen by the server before any other byte of
// this protocol is read.
//
// # Frames
//
// A binary WebSocket message holds one or more whole frames back to back and
// at most [MaxMessage] + 262,144 bytes (with another message limit, that limit
// plus the same). All integers are big-endian.
//
//	offset  size  field
//	0       1     type
//	1       4     call id; 0 for a frame about the connection
//	5       4     n, length of the payload
//	9       n     payload
//
//	type          from    call  payload
//	0x01 HELLO    client  0     headers
//	0x02 CALL     client  id    u32 timeout in ms (0: none), u8 length and procedure, headers, message
//	0x03 CANCEL   client  id    empty
//	0x04 CREDIT   client  id    u32 bytes, not 0
//	0x05 PING     client  0     8 bytes, any
//	0x81 WELCOME  server  0     u64 server time in ms, u32 message limit, u16 call limit, u8 length and version
//	0x82 HEADERS  server  id    headers
//	0x83 MESSAGE  server  id    message
//	0x84 END      server  any   u8 code (0: no error), u16 length and text,
//	                            u8 count of details, each u8 length and type, u16 length and value,
//	                            headers (the trailers)
//	0x85 PONG     server  0     the 8 bytes of the PING, u64 server time in ms
//	0x86 GOAWAY   server  0     u8 length and reason
//	0x87 ANSWER   server  0     1 to 256 bytes, before HELLO, if it was asked
//
//	headers: u16 count, each u8 length and name, u16 length and value;
//	         at most 64 and 16,384 bytes in all; names are lower case
//	         (a-z 0-9 -), sorted, values printable ASCII
//
// A message is the protobuf binary encoding. The client picks call ids, any
// but 0 and those not yet ended. Every CALL is answered by exactly one END,
// also after CANCEL: only then is the id and its place in the call limit free.
// HEADERS comes at most once, before the first MESSAGE. A unary call that
// succeeds has exactly one MESSAGE.
//
// END with call id 0 ends the connection: the error tells why.
// GOAWAY: the server takes no more calls on this connection; the client
// connects anew, elsewhere if there is an elsewhere, and lets running unary
// calls finish here. Streams are ended by the server.
//
// # Flow control
//
// A server-streaming call starts with 262,144 bytes of credit. A MESSAGE uses
// its length plus 64; the server sends while credit is above zero, and the
// client gives back what its application has taken. So one stream that is not
// read holds back itself only, and a client buffers a bounded amount for each.
// The credit never exceeds its start: a CREDIT beyond that is refused.
//
// Towards a client that does not read at all, at most 256 KiB and what the
// writer holds wait in a queue; senders wait behind it; after
// [Options.WriteTimeout] without the write ending, the connection is cut with
// [ReasonSlowReader].
//
// # What is refused
//
// An unknown type, a type from the wrong side, a wrong call id, a length over
// its limit, trailing or missing bytes, unsorted headers, a second HELLO, a
// CALL with an id in use: the connection ends with a named [Reason] and an
// END frame for call 0. A CANCEL or CREDIT for a call that has ended is
// ignored, since it may have crossed the END. A CALL above the call limit, or
// one that would make the server hold more than [Options.MaxHeld] of requests,
// is answered by END resource_exhausted.
//
// # Liveness
//
// The client sends PING every [DialOptions.PingEvery] and gives the connection
// up when nothing comes back. The server keeps no timer for a connection: one
// goroutine looks at all of them and cuts those that were silent for
// [Options.IdleTimeout]. PINGs are frames because browsers cannot send the
// WebSocket's own.
package mux
