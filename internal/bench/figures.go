package bench

import "fmt"

// What several figures yield.
var (
	perSecond = Meaning{"delivered", "msg/s", "messages delivered a second", false}
	perCPU    = Meaning{"server_cpu", "s/1000", "seconds of processor time, user and system, that the server used for 1,000 delivered messages", true}
	inFlood   = Meaning{"latency", "ms", "from handing a message over to its delivery", false}
	fromDue   = Meaning{"latency", "ms", "from the moment when a message was due to its delivery, so that a server that falls behind is not spared", false}
)

// Figures are all figures, in the order in which they are measured.
func Figures() []Figure {
	return []Figure{
		{
			Name: "flood",
			Definition: "200 pre-sealed clients in pairs, one connection and one event stream each. Every client sends messages of 1 KiB to its partner, " +
				"the next when the last was stored durably and delivered. Delivered is when the recipient has it with its wrap; it acknowledges to the server. " +
				"10 s, after 2 s to warm up. Everything sent must come.",
			Values: []Meaning{perSecond, perCPU, inFlood},
			run:    flood,
		},
		{
			Name: "rate",
			Definition: "The same clients, but 200 messages a second over all of them, each sent when it is due, whether or not those before it have come " +
				"(open loop).",
			Values: []Meaning{fromDue, perCPU, perSecond},
			run:    rate,
		},
		{
			Name: "engine-flood",
			Definition: "As flood, with 20 engines: the client library, each with a database of its own, that seals 1 KiB of text, verifies lists and certificates, " +
				"opens the wrap, and stores what comes before it acknowledges. Delivered is when the recipient's engine shows the message as ready. " +
				"The clients share the cores that are left, and are the limit.",
			Values: []Meaning{perSecond, perCPU, inFlood},
			run:    engineFlood,
		},
		{
			Name:       "engine-rate",
			Definition: "As rate, with 20 engines and 20 messages a second.",
			Values:     []Meaning{fromDue, perCPU, perSecond},
			run:        engineRate,
		},
		{
			Name: "idle",
			Definition: "5,000 pre-sealed clients connect, each with an event stream, and do nothing. The server was started again after the accounts were made. " +
				"Memory is the proportional set size of its process, 10 s after it started and 10 s after the last has come; the kernel's memory for sockets is not in it.",
			Values: []Meaning{perUser, forNone, atConn, connCost},
			own:    true,
			run:    idle,
		},
		{
			Name:       "idle-tls",
			Definition: "The same with TLS 1.3 at the server, a full handshake for each connection.",
			Values:     []Meaning{perUser, forNone, atConn, connCost},
			own:        true,
			run:        idleTLS,
		},
		{
			Name: "drain",
			Definition: "100 pre-sealed clients send 50 messages of 1 KiB each to a partner who is offline, the next when the last is stored. Then all partners " +
				"connect at once, and get everything.",
			Values: []Meaning{drained, drainCost, takenIn, takenCPU},
			run:    drain,
		},
		{
			Name:       "login",
			Definition: "One account logs out and in again on one phone with an engine, 30 times, with nobody else there. The login is measured, the logout is not.",
			Values:     []Meaning{loginTime, loginCost},
			run:        login,
		},
		{
			Name: "fanout",
			Definition: "An account with 50 pre-sealed contacts online, who watch it, logs in with new devices, 27 in all, one after the other; an account has 10 at most. " +
				"Publishing the list is measured, the password's part before it is not.",
			Values: []Meaning{fanTime, joinCost},
			run:    fanout,
		},
		{
			Name: "new-device",
			Definition: "A kept text waits for an account. It logs in on a new phone with an engine, 27 times, a new phone each; its first phone and the sender " +
				"are online and have the key.",
			Values: []Meaning{readable, fromPass},
			run:    newDevice,
		},
		{
			Name: "stale-send",
			Definition: "A pre-sealed client sends 1 KiB, 200 times, one after the other, to an account with two devices of which it knows one. The server's answer " +
				"names the list; the sender wraps for the other device and adds the wrap.",
			Values: []Meaning{staleCaught, staleTold, staleCost},
			run:    stale,
		},
		{
			Name: "blob",
			Definition: "500 ciphertexts of a little less than 1 MiB, sealed before, are uploaded by one device with the client's own transfers, 8 at once, each in " +
				"four requests: begin, list of hashes, bytes, end. Then each is downloaded, in two requests, and not verified.",
			Values: []Meaning{putRate, putCost, putTime, getRate, getCost, getTime},
			run:    blob,
		},
		{
			Name:       "content",
			Definition: "100 MiB are sealed in memory by one goroutine, and opened, 5 times. No server takes part.",
			Values:     []Meaning{sealRate, openRate, aesRate},
			run:        content,
		},
		{
			Name:       "wrap",
			Definition: "Content keys are wrapped and opened 200 times, by a client that has wrapped for the device before. No server takes part.",
			Values:     []Meaning{wrapTime, openTime, eightTime},
			run:        wraps,
		},
		{
			Name:       "start",
			Definition: "The command runs in a process of its own, 20 times, with the program in the system's file cache.",
			Values:     []Meaning{inboxTime, bareStart},
			run:        start,
		},
	}
}

// Soaks are what a server goes through to show that it stays what it is: each fails
// where a promise is broken.
func Soaks() []Figure {
	return []Figure{
		{
			Name: "overload",
			Definition: "40 pre-sealed clients in pairs send each other a message some 20 times a second. Then 100 clients with 60 messages at once each, " +
				"and 40 connections without a session with 60 logins at once each, join them for 30 s; the server runs with --max-calls 2048. Who is refused " +
				"comes back after as long as the server says, and not before. Promised: whatever is refused is refused as overload; none of those who were there before loses a " +
				"message or the connection; 10 s after the rush they are served as before; memory does not go on growing.",
			Values: []Meaning{crowdTook, crowdShed, calmTime, rushTime, recovery, peakFirst, peak},
			own:    true,
			run:    overload,
		},
		{
			Name: "day",
			Definition: "24 hours of 4,000 messages each, compressed: in each hour 40 clients connect, send each other 100 messages one after the other, begin a login, " +
				"and go. Messages live for 3 s, and what has expired is removed every second. After each hour it is looked at what the server holds. " +
				"Promised: in the last six hours neither the live heap, nor goroutines, nor the store's files are more than in the hours 7 to 12 " +
				"(with 20, 10 and 25 % for the moment at which it is looked at).",
			Values: []Meaning{dayCalls, dayHeap, dayThreads, dayStore, lastHeap, lastCount, lastStore},
			own:    true,
			run:    day,
		},
	}
}

// sizes are how much is measured.
type sizes struct {
	users, engines   int
	payload          int
	warm, long       float64 // seconds
	rate, engineRate float64 // messages a second
	idleUsers        int
	settled          float64 // seconds
	queue            int     // messages that wait for each
	logins           int
	contacts, joins  int
	newDevices       int
	stales           int
	blobs            int
	stream, streams  int // MiB, and how often
	wraps            int
	starts           int

	witnessing         int     // who go on as before
	crowded, eager     int     // connections, and calls at once on each
	knocking, maxCalls int     // connections without a session, and what the server is told
	calm, rush         float64 // seconds
	life, sweep        float64 // seconds
	hours, anHour      int     // messages that each sends in an hour
}

// whole are the sizes of the definitions; brief ones are for several runs beside
// others; quick ones show that everything works.
var (
	whole = sizes{
		users: 200, engines: 20, payload: 1024, warm: 2, long: 10, rate: 200, engineRate: 20, idleUsers: 5000, settled: 10, queue: 50,
		witnessing: 40, crowded: 100, eager: 60, knocking: 40, maxCalls: 2048, calm: 5, rush: 30, life: 3, sweep: 1, hours: 24, anHour: 100,
		logins: 30, contacts: 50, joins: 27, newDevices: 27, stales: 200, blobs: 500, stream: 100, streams: 5, wraps: 200, starts: 20,
	}
	brief = sizes{
		witnessing: 40, crowded: 100, eager: 60, knocking: 40, maxCalls: 2048, calm: 2, rush: 10, life: 3, sweep: 1, hours: 24, anHour: 25,
		users: 200, engines: 10, payload: 1024, warm: 1, long: 3, rate: 200, engineRate: 20, idleUsers: 2000, settled: 2, queue: 50,
		logins: 10, contacts: 50, joins: 9, newDevices: 9, stales: 100, blobs: 200, stream: 100, streams: 3, wraps: 100, starts: 10,
	}
	quick = sizes{
		witnessing: 4, crowded: 2, eager: 50, knocking: 1, maxCalls: 40, calm: 0.2, rush: 0.5, life: 1, sweep: 0.5, hours: 4, anHour: 3,

		users: 4, engines: 2, payload: 1024, warm: 0.1, long: 0.5, rate: 40, engineRate: 20, idleUsers: 20, settled: 0.1, queue: 10,
		logins: 2, contacts: 3, joins: 2, newDevices: 2, stales: 3, blobs: 10, stream: 4, streams: 2, wraps: 3, starts: 2,
	}
)

// BriefSizes says how the brief form of the figures differs from their
// definitions.
func BriefSizes() string {
	return fmt.Sprintf("messages are measured for %.0f s after %.0f s to warm up, %d engines take part, %d users are idle, a server is left alone for %.0f s, "+
		"%d logins, %d devices that join, %d new devices, %d stale sends, %d files, %d streams, %d wraps, %d starts",
		brief.long, brief.warm, brief.engines, brief.idleUsers, brief.settled, brief.logins, brief.joins, brief.newDevices, brief.stales, brief.blobs,
		brief.streams, brief.wraps, brief.starts)
}
