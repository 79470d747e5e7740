package bench

// What several figures yield.
var (
	perSecond = Meaning{"delivered", "msg/s", "messages delivered a second"}
	perCPU    = Meaning{"server_cpu", "s/1000", "seconds of processor time, user and system, that the server used for 1,000 delivered messages"}
	inFlood   = Meaning{"latency", "ms", "from handing a message over to its delivery"}
	fromDue   = Meaning{"latency", "ms", "from the moment when a message was due to its delivery, so that a server that falls behind is not spared"}
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
	}
}

// sizes are how much is measured.
type sizes struct {
	users, engines   int
	payload          int
	warm, long       float64 // seconds
	rate, engineRate float64 // messages a second
}

// whole are the sizes of the definitions; quick ones show that everything works.
var (
	whole = sizes{users: 200, engines: 20, payload: 1024, warm: 2, long: 10, rate: 200, engineRate: 20}
	quick = sizes{users: 4, engines: 2, payload: 1024, warm: 0.1, long: 0.5, rate: 40, engineRate: 20}
)
