package demo

import (
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
)

// promise is what is to become of a message.
type promise string

const (
	promiseRead    promise = "read"    // its bytes come to the recipient
	promiseUnsent  promise = "unsent"  // nobody reads it any more
	promiseExpired promise = "expired" // nobody reads it any more
)

// parcel is one message that was sent, and whether the promise was kept.
type parcel struct {
	content *content
	id      reseal.MessageID
	from    string
	to      string
	policy  reseal.Policy
	promise promise
	kept    bool
	sent    reseal.Sent
	// began is when the sender asked for it to be sent.
	began time.Time
}

// ledger is the book of everything that was promised, and of what the devices
// have counted (docs/figures.md).
type ledger struct {
	parcels []*parcel
	devices map[identity.DeviceID]counted
}

// counted is what one device has counted since it was made.
type counted struct {
	client.Counters
	atOnce, retried client.Times
}

// note takes down what a device has counted. It goes on counting when it is
// logged in or started again, so the last word stands.
func (l *ledger) note(a *reseal.Account) {
	if l.devices == nil {
		l.devices = map[identity.DeviceID]counted{}
	}
	c := counted{Counters: a.Counters()}
	c.atOnce, c.retried = a.Times()
	l.devices[a.Device()] = c
}

// broken are the messages of which a promise was not kept.
func (l *ledger) broken() (out []*parcel) {
	for _, p := range l.parcels {
		if !p.kept {
			out = append(out, p)
		}
	}
	return out
}

// figures are the end of the story, in --json the last line.
type figures struct {
	Messages      int     `json:"messages"`
	Broken        int     `json:"promises_broken"`
	Lost          uint64  `json:"lost"`
	Sends         uint64  `json:"sends"`
	StaleSends    uint64  `json:"stale_sends"`
	Received      uint64  `json:"received"`
	Opened        uint64  `json:"keys_received"`
	RetriesNeeded uint64  `json:"retries_needed"`
	AnsweredOwn   uint64  `json:"answered_by_own_device"`
	AnsweredBy    uint64  `json:"answered_by_sender"`
	AnsweredOther uint64  `json:"answered_by_senders_other_device"`
	BadWraps      uint64  `json:"bad_wraps"`
	Alarms        uint64  `json:"alarms"`
	P50           float64 `json:"readable_p50_seconds"`
	P80           float64 `json:"readable_p80_seconds"`
	P99           float64 `json:"readable_p99_seconds"`
	Max           float64 `json:"readable_max_seconds"`
	Bytes         int64   `json:"bytes_compared"`
	Files         int     `json:"files_searched"`
	Searched      int64   `json:"bytes_searched"`
	Secrets       int     `json:"secrets_searched_for"`
	Found         int     `json:"secrets_found"`
	Steps         int     `json:"steps"`
	Failed        int     `json:"failed"`
	Seconds       float64 `json:"seconds"`

	p50, p80, p99, max time.Duration
}

func (l *ledger) figures() figures {
	var n client.Counters
	var times client.Times
	for _, c := range l.devices {
		n.Add(c.Counters)
		times.Merge(c.atOnce)
		times.Merge(c.retried)
	}
	return figures{
		Messages: len(l.parcels), Broken: len(l.broken()), Lost: n.Lost, Sends: n.Sends, StaleSends: n.Stale,
		Received: n.Received, Opened: n.Opened, RetriesNeeded: n.Retries,
		AnsweredOwn: n.ByOwn, AnsweredBy: n.BySender, AnsweredOther: n.BySenderOther, BadWraps: n.BadWraps, Alarms: n.Alarms,
		P50: seconds(times.Quantile(0.5)), P80: seconds(times.Quantile(0.8)), P99: seconds(times.Quantile(0.99)), Max: seconds(times.Max()),
		p50: times.Quantile(0.5), p80: times.Quantile(0.8), p99: times.Quantile(0.99), max: times.Max(),
	}
}
