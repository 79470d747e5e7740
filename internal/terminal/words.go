package terminal

import (
	"fmt"
	"strconv"
	"time"
)

// Size is a number of bytes for people: "512 B", "1.4 MB". The units are powers
// of 1000.
func Size(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		// 999.95 would be shown as 1000.0.
		if f /= 1000; f < 999.95 {
			break
		}
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %s", f, unit)
	}
	return fmt.Sprintf("%.0f %s", f, unit)
}

// Span is a length of time for people, in one unit: "40 s", "3 d".
func Span(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", d.Round(time.Second)/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d.Round(time.Hour)/time.Hour)
	}
	const day = 24 * time.Hour
	return fmt.Sprintf("%d d", d.Round(day)/day)
}

// When is a moment as seen from now: "5 min ago", "in 29 d", "now", and "never"
// for the zero time.
func When(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "never"
	case d >= time.Second:
		return Span(d) + " ago"
	case d > -time.Second:
		return "now"
	default:
		return "in " + Span(d)
	}
}
