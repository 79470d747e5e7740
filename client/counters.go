package client

import "reflect"

// Counters are what a device counts. None of them names anybody.
type Counters struct {
	// Sends are messages made; Stale how often the second look found a device
	// without a wrap.
	Sends, Stale uint64
	// Opened are messages whose key came; Retries those that had to be asked
	// for; Retried those of them that were answered, by whom.
	Opened, Retries, Retried         uint64
	ByOwn, BySender, BySenderOther   uint64
	Answers, Repeats, Refusals       uint64
	BadWraps, BadKeys, BadHeaders    uint64
	BadReceipts, BadRequests, Alarms uint64
	// OlderLists are lists served that were older than what is known; Newer
	// records of a version that this program does not read.
	OlderLists, Newer uint64
	// BookFull counts changes that the full book could not take.
	BookFull uint64
	// Reoffered are messages that a server had taken and forgotten, and that were
	// sent again.
	Reoffered uint64
	// Left counts messages that stayed at the server for want of room here.
	Left uint64
}

// Each calls f for every counter, by its name in snake case.
func (c Counters) Each(f func(name string, n uint64)) {
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		f(snake(v.Type().Field(i).Name), v.Field(i).Uint())
	}
}

func snake(s string) string {
	var b []byte
	for i, r := range []byte(s) {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b = append(b, '_')
			}
			r += 'a' - 'A'
		}
		b = append(b, r)
	}
	return string(b)
}

func (c *Counters) add(d Counters) {
	v, w := reflect.ValueOf(c).Elem(), reflect.ValueOf(d)
	for i := range v.NumField() {
		if n := w.Field(i).Uint(); n != 0 {
			v.Field(i).SetUint(v.Field(i).Uint() + n)
		}
	}
}
