// Package state holds the records that the engine keeps in a section of the
// client database, as protocol buffers with the code generated from them.
package state

//go:generate go tool -modfile=../../../internal/tools/go.mod buf generate
