// Package archtest holds the house rules as tests: which package may import
// which and why, what every package documents, that specifications, vectors,
// parsers, documents and commands agree with what is there, and that the
// linters have nothing to say. It has no code of its own.
package archtest
