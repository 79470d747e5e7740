// Package peers are servers that people would use instead of this project's, put
// through the same work by package internal/bench: NATS, Mosquitto, Prosody and
// ejabberd for messages, nginx for files.
//
// Each is the program that its own project ships, in a process of its own, with
// files in a folder that is removed. What is set differently from its defaults,
// and whether it syncs what it acknowledges, stands in [Peer.About]. The clients
// here speak as much of each protocol as the work takes, and no more: a message of
// random bytes (in base64 where the protocol is text), which the recipient
// acknowledges to the server. They are for loopback.
package peers
