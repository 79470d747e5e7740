// Package server puts the parts of a Reseal server together: the handlers of
// the calls, blobs, limits, metrics, one listener for clients and one for the
// operator.
//
// # One listener
//
// Clients reach everything at one address: calls over HTTP/1.1 or HTTP/2 (the
// connect, gRPC and gRPC-Web protocols), the same calls and the event stream
// over one WebSocket (package api/mux), and blobs over plain HTTP with ranges.
// Metrics and health have a listener of their own, because they are for the
// operator and not for the world.
//
// # What a server remembers
//
// Everything that matters is in the store and the blob folder, and the key file
// beside them ([LoadKeyFile]). In memory are connections, caches of seconds,
// and token buckets. So several servers may share one store.
//
// # Life of a call
//
// Every call passes the same line of interceptors: counting and recovery from
// panics, refusal while draining, the limit by address, the session, the limit
// by account. A call has callTimeout; its client must have sent it within
// readTimeout and take each answer within writeTimeout.
//
// # Logs
//
// Logs hold no handle, no id, no address and no secret: causes of faults, and
// what the server as a whole does.
package server
