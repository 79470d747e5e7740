package reseal

import (
	"time"

	"github.com/reseal/reseal/client"
)

// Figures tell how well a device is served, counted from when it was made: they
// outlast restarts, logouts and logins at its installation, and end with the
// device. They name nobody. docs/figures.md defines each.
type Figures struct {
	// Sends are messages that the server has stored from this device, one for
	// each recipient. StaleSends are those that lacked a key for some device, as
	// the server's second look found; the lacking keys were added at once.
	Sends, StaleSends uint64
	// Received are messages to the account that this device took in, Readable
	// those of them whose key came. Lost expired here without having been
	// readable here.
	Received, Readable, Lost uint64
	// RetriesNeeded are messages whose key this device had to ask for, and
	// RetriesAnswered those of them whose key came: from another device of the
	// account, from the device that sent the message, or from another device of
	// its sender.
	RetriesNeeded, RetriesAnswered                      uint64
	ByOwnDevice, BySendingDevice, ByOtherDeviceOfSender uint64
	// TimeToReadable is of all messages that became readable, TimeOfRetries of
	// those among them that needed a retry: from when the device first heard of
	// the message, or, if that came while it was away, from when its user
	// began to log in, started it, or its network was back. What waited for its
	// user or for another version of the program is not in them.
	TimeToReadable, TimeOfRetries Times
}

// Times sum durations up. P50 is the time that half of them did not exceed, P80
// and P99 likewise; they are right to the millisecond, or an eighth too long. Max
// is to the millisecond. All are 0 where Count is.
type Times struct {
	Count              uint64
	P50, P80, P99, Max time.Duration
}

// RetryRate is the share of received messages that needed a retry, 0 to 1.
func (f Figures) RetryRate() float64 { return share(f.RetriesNeeded, f.Received) }

// StaleRate is the share of sends that were stale, 0 to 1.
func (f Figures) StaleRate() float64 { return share(f.StaleSends, f.Sends) }

func share(n, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// Figures are the device's figures up to now. They may be asked for at any time,
// also after the account was closed.
func (a *Account) Figures() Figures {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.engine.Counters()
	all, retried := a.engine.Times()
	all.Merge(retried)
	return Figures{
		Sends: c.Sends, StaleSends: c.Stale, Received: c.Received, Readable: c.Opened, Lost: c.Lost,
		RetriesNeeded: c.Retries, RetriesAnswered: c.Retried,
		ByOwnDevice: c.ByOwn, BySendingDevice: c.BySender, ByOtherDeviceOfSender: c.BySenderOther,
		TimeToReadable: timesOf(all), TimeOfRetries: timesOf(retried),
	}
}

func timesOf(t client.Times) Times {
	return Times{Count: t.Count(), P50: t.Quantile(0.5), P80: t.Quantile(0.8), P99: t.Quantile(0.99), Max: t.Max()}
}

// Counters are all that the device has counted since it was made; Figures has
// those that matter to its user.
func (a *Account) Counters() client.Counters {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.engine.Counters()
}

// Times are the times to readable that Figures sums up: of messages that needed
// no retry, and of those that did.
func (a *Account) Times() (atOnce, retried client.Times) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.engine.Times()
}
