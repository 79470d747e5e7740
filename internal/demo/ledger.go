package demo

import (
	"slices"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
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

// ledger is the book of everything that was promised.
type ledger struct {
	parcels []*parcel
	waits   []time.Duration
	counts  map[string]uint64
}

// retire takes the counters of an account in, before it is closed.
func (l *ledger) retire(c client.Counters) {
	if l.counts == nil {
		l.counts = map[string]uint64{}
	}
	c.Each(func(name string, n uint64) { l.counts[name] += n })
}

// lost are the messages of which a promise was not kept.
func (l *ledger) lost() (out []*parcel) {
	for _, p := range l.parcels {
		if !p.kept {
			out = append(out, p)
		}
	}
	return out
}

// quantile is the least wait that a part q of all waits does not exceed.
func (l *ledger) quantile(q float64) time.Duration {
	if len(l.waits) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l.waits))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// figures are the end of the story, in --json the last line.
type figures struct {
	Messages      int     `json:"messages"`
	Lost          int     `json:"lost"`
	Sends         uint64  `json:"sends"`
	StaleSends    uint64  `json:"stale_sends"`
	Opened        uint64  `json:"keys_received"`
	RetriesNeeded uint64  `json:"retries_needed"`
	AnsweredOwn   uint64  `json:"answered_by_own_device"`
	AnsweredBy    uint64  `json:"answered_by_sender"`
	AnsweredOther uint64  `json:"answered_by_senders_other_device"`
	BadWraps      uint64  `json:"bad_wraps"`
	Alarms        uint64  `json:"alarms"`
	P50           float64 `json:"readable_p50_seconds"`
	P80           float64 `json:"readable_p80_seconds"`
	Max           float64 `json:"readable_max_seconds"`
	Bytes         int64   `json:"bytes_compared"`
	Files         int     `json:"files_searched"`
	Searched      int64   `json:"bytes_searched"`
	Secrets       int     `json:"secrets_searched_for"`
	Found         int     `json:"secrets_found"`
	Steps         int     `json:"steps"`
	Failed        int     `json:"failed"`
	Seconds       float64 `json:"seconds"`
}

func (l *ledger) figures() figures {
	n := l.counts
	return figures{
		Messages: len(l.parcels), Lost: len(l.lost()), Sends: n["sends"], StaleSends: n["stale"], Opened: n["opened"],
		RetriesNeeded: n["retries"], AnsweredOwn: n["by_own"], AnsweredBy: n["by_sender"], AnsweredOther: n["by_sender_other"],
		BadWraps: n["bad_wraps"], Alarms: n["alarms"],
		P50: seconds(l.quantile(0.5)), P80: seconds(l.quantile(0.8)), Max: seconds(l.quantile(1)),
	}
}
