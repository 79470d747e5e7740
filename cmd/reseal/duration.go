package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// duration is a flag like 90s, 15m, 24h, 7d.
type duration time.Duration

var errDuration = errors.New("not a duration: give it as in 90s, 15m, 24h or 7d")

// parseDuration reads a whole number and a unit.
func parseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	for suffix, unit := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
		digits, ok := strings.CutSuffix(s, suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || digits[0] == '+' || time.Duration(n) > (1<<63-1)/unit {
			break
		}
		return time.Duration(n) * unit, nil
	}
	return 0, fmt.Errorf("%w: %q", errDuration, s)
}

func (d *duration) Set(s string) error {
	v, err := parseDuration(s)
	*d = duration(v)
	return err
}

func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *duration) Type() string { return "D" }
