// Package bench measures a server from its clients' side: figures with a
// definition each, taken against a server that it starts for each figure, on a
// core of its own, or against one that runs already.
//
// Two kinds of clients make the load. Engines are the client library as apps use
// it, with everything that it seals, verifies and stores. Pre-sealed clients
// (package presealed) do nothing but what the server sees, so that their own work
// does not hide the server's. What the server used is read from the kernel
// (package process), and durations are counted in histograms (package
// histogram).
//
// Nothing is traded for a figure: the server is the one that people run, durable
// before it acknowledges, with its limits counted. Those of a server that is
// started here are only higher, since one address does the work of many.
//
// A figure is a [Figure] in the table of figures.go, and a file with what
// measures it.
package bench
