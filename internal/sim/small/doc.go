// Package small goes through every course that a small world can take: two
// accounts with two devices each, and two messages, one to be viewed once and one
// to be kept. A breadth-first search over the engines (package client, which does
// no I/O) and the server's handlers tries, in every state, everything that can
// happen next: each call arriving, its answer lost, each event of a stream, sends,
// views, unsends, networks that go and come back, and devices that die before a
// step is durable or after it and before its effects. One of the devices is unknown to
// the other account at first, so that second looks and retries are among it.
//
// A state is four devices and a server; equal ones are met once. A device's next
// state follows from its last one and the event alone, and so does the server's, so
// each such step is computed once, however many courses take it. In every state
// at most one device of an account has been granted the view, and none keeps the key
// of what has ended. From every state (or one in so many) the world is healed as well, and
// must come to rest with each message readable wherever it has not ended.
//
//	go test ./internal/sim/small -run TestEveryCourse -small.states 1000000 -timeout 2h
package small
