package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/terminal"
)

// figures are a device's, by the names of docs/figures.md.
type figures struct {
	Sends            uint64  `json:"sends"`
	StaleSends       uint64  `json:"stale_sends"`
	Received         uint64  `json:"received"`
	Readable         uint64  `json:"readable"`
	RetriesNeeded    uint64  `json:"retries_needed"`
	RetryRate        float64 `json:"retry_rate"`
	RetriesAnswered  uint64  `json:"retries_answered"`
	ByOwnDevice      uint64  `json:"answered_by_own_device"`
	BySender         uint64  `json:"answered_by_sender"`
	BySendersOther   uint64  `json:"answered_by_senders_other_device"`
	Lost             uint64  `json:"lost"`
	TimeToReadable   times   `json:"time_to_readable"`
	TimeOfRetries    times   `json:"time_of_retries"`
	counters         client.Counters
	readable, asking reseal.Times
}

// times are in seconds.
type times struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P80   float64 `json:"p80"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func timesOf(t reseal.Times) times {
	return times{t.Count, t.P50.Seconds(), t.P80.Seconds(), t.P99.Seconds(), t.Max.Seconds()}
}

func figuresOf(a *reseal.Account) *figures {
	f := a.Figures()
	return &figures{
		Sends: f.Sends, StaleSends: f.StaleSends, Received: f.Received, Readable: f.Readable,
		RetriesNeeded: f.RetriesNeeded, RetryRate: f.RetryRate(), RetriesAnswered: f.RetriesAnswered,
		ByOwnDevice: f.ByOwnDevice, BySender: f.BySendingDevice, BySendersOther: f.ByOtherDeviceOfSender, Lost: f.Lost,
		TimeToReadable: timesOf(f.TimeToReadable), TimeOfRetries: timesOf(f.TimeOfRetries),
		counters: a.Counters(), readable: f.TimeToReadable, asking: f.TimeOfRetries,
	}
}

// inFigures are the counters that figures shows under names of their own.
var inFigures = []string{
	"sends", "stale", "received", "opened", "lost", "retries", "retried", "by_own", "by_sender", "by_sender_other",
}

// others are all other counters.
func (f *figures) others() map[string]uint64 {
	m := map[string]uint64{}
	f.counters.Each(func(name string, n uint64) {
		if !slices.Contains(inFigures, name) {
			m[name] = n
		}
	})
	return m
}

// bad are the counters of what is wrong, where there is any.
func (f *figures) bad() string {
	var all []string
	f.counters.Each(func(name string, n uint64) {
		if n > 0 && (strings.HasPrefix(name, "bad_") || name == "alarms" || name == "older_lists") {
			all = append(all, fmt.Sprintf("%s %d", strings.ReplaceAll(name, "_", " "), n))
		}
	})
	return strings.Join(all, ", ")
}

// String is the figures in a line for people.
func (f *figures) String() string {
	s := fmt.Sprintf("%d received, %d needed a retry (%.1f %%), %d lost", f.Received, f.RetriesNeeded, 100*f.RetryRate, f.Lost)
	if f.readable.Count == 0 {
		return s
	}
	return s + "; readable in " + spans(f.readable)
}

func spans(t reseal.Times) string {
	return fmt.Sprintf("p50 %s, p80 %s, p99 %s", terminal.Span(t.P50), terminal.Span(t.P80), terminal.Span(t.P99))
}

// checkFigures says how well the accounts that are open are served.
func checkFigures(o *owner) (all []finding) {
	if o == nil {
		return nil
	}
	for _, a := range o.in.Accounts() {
		f := figuresOf(a)
		detail := a.Handle() + ": " + f.String()
		if f.asking.Count > 0 {
			detail += ", after a retry " + spans(f.asking)
		}
		g := good("figures", detail)
		if f.Lost > 0 {
			g.Hint = "a message is lost when nobody who has its key is there before it expires: stay logged in on a second device"
		}
		all = append(all, g)
		if bad := f.bad(); bad != "" {
			all = append(all, finding{
				"figures", true, a.Handle() + ": did not hold, and was not taken: " + bad,
				"a faulty network or program, or somebody who tries; alarms are shown by \"reseal contacts\"",
			})
		}
	}
	return all
}
