// Package api holds the protocol buffers that client and server speak, with
// the code generated from them in reseal/v1 (package resealv1).
//
// Protocol buffers only carry bytes here: whatever is hashed, signed, MACed or
// sealed has its own byte-exact encoding in spec/, and travels as bytes fields.
// Calls run over HTTP (connect protocol) or multiplexed over one WebSocket
// (package api/mux); both serve the same handlers.
//
// To change the API: edit the .proto files, then run
//
//	go tool -modfile=internal/tools/go.mod buf generate
//
// in this folder. The generated code is committed.
package api

//go:generate go tool -modfile=../internal/tools/go.mod buf generate
