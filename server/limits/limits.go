// Package limits bounds how often things may happen: token buckets by address,
// by handle and by account, each kind in a table of its own with a bounded
// number of entries.
//
// Buckets live in the memory of one node and are approximate on purpose: with
// several nodes a caller has as many buckets. A refusal is REASON_RATE, names
// the kind, and says when to come back.
package limits

import (
	"container/list"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/reseal/reseal/api/refusal"
)

// The kinds of limit.
const (
	Call    = "call"    // every call, by address
	Account = "account" // every call with a session, by account
	Signup  = "signup"  // steps of a sign-up, by address
	Login   = "login"   // logins begun, by address
	// LoginHandle counts logins begun, by handle and network ("handle@address"),
	// so that a stranger does not keep the owner of a handle out.
	LoginHandle = "login_handle"
	// LoginHandleAll counts logins begun, by handle, from all networks together.
	// Whoever uses it up keeps the owner out of a new phone, so that it takes many
	// networks to do so; a password that clients let pass, 2e10 guesses, still
	// holds for decades.
	LoginHandleAll = "login_handle_all"
	// LoginKnown counts logins begun by an installation that the account knows,
	// by handle and installation, in the place of the three above.
	LoginKnown = "login_known"
	Recovery   = "recovery" // recoveries begun, by address
	// RecoveryHandle counts recoveries begun, by handle and network
	// ("handle@address"). There is none by handle alone: codes have 88 bits and
	// more, and whoever tries wrong ones would keep an owner out who has lost
	// every device, and is nowhere known.
	RecoveryHandle = "recovery_handle"
	// RecoveryTold counts wrong codes that the account's devices are told of, by
	// account. One past it is refused as any other, and nobody is told.
	RecoveryTold = "recovery_told"
	// RecoveryKnown is the same for recoveries.
	RecoveryKnown = "recovery_known"
	// Installation counts installations that an account has not known, by account.
	// One past it logs in all the same, and counts as a stranger's.
	Installation = "installation"
	Password     = "password"  // password changes begun, by account
	Challenge    = "challenge" // possession challenges, by address
	Epoch        = "epoch"     // certificates published, by account
	Inbox        = "inbox"     // messages that arrive, by sender and recipient
	// InboxStranger counts messages that arrive from somebody who is a stranger to
	// the recipient, by sender and recipient.
	InboxStranger = "inbox_stranger"
	InboxAll      = "inbox_all"   // messages that arrive, by recipient
	InboxBytes    = "inbox_bytes" // KiB of messages that arrive, by sender and recipient
	// InboxBytesAll counts KiB of messages that arrive, by recipient.
	InboxBytesAll = "inbox_bytes_all"
	Repeat        = "repeat"      // calls made again for a message, by account and the other account
	Directory     = "directory"   // accounts and certificates looked up, by account
	Retry         = "retry"       // retry requests, by account
	RetryNew      = "retry_new"   // retry requests made for the first time, by account and addressed account
	RetryClose    = "retry_close" // retry requests withdrawn, by account
	Upload        = "upload"      // MiB of blobs begun, by account
	Blobs         = "blobs"       // blobs begun, by account
)

// Rate is a token bucket: Burst tokens at first and at most, PerSecond of them
// back every second.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Config is the bucket of every kind.
type Config struct {
	// Rates by kind. A kind that is missing is not limited.
	Rates map[string]Rate
	// Loopback replaces the rate of the kinds that count by address, for
	// addresses of this machine: tests, a demonstration, or a proxy that
	// stands before the server and limits by itself.
	Loopback map[string]Rate
	// MaxEntries bounds each table; past it the bucket that was used the
	// longest ago is forgotten. Default 100,000, about 20 MiB a kind.
	MaxEntries int
}

// Default are the rates of a server for people: far above what clients do, and
// far below what guessing passwords or filling the disk takes.
func Default() Config {
	local := Rate{PerSecond: 500, Burst: 1000}
	return Config{
		Rates: map[string]Rate{
			Call:           {500, 2000},
			Account:        {500, 5000},
			Signup:         {1.0 / 30, 20},
			Login:          {0.5, 60},
			LoginHandle:    {1.0 / 6, 20},
			LoginHandleAll: {20, 2000},
			LoginKnown:     {1.0 / 6, 20},
			RecoveryKnown:  {1.0 / 60, 10},
			Installation:   {1.0 / (3 * 24 * 3600), 10},
			Recovery:       {1.0 / 30, 20},
			RecoveryHandle: {1.0 / 60, 10},
			RecoveryTold:   {1.0 / 600, 10},
			Password:       {1.0 / 60, 20},
			Challenge:      {1, 60},
			Epoch:          {1.0 / 600, 20},
			Inbox:          {2, 2000},
			InboxStranger:  {1.0 / 432, 500},
			InboxAll:       {100, 100_000},
			InboxBytes:     {4, 128 << 10},
			InboxBytesAll:  {256, 4 << 20},
			Repeat:         {20, 2000},
			Directory:      {20, 4000},
			Retry:          {4, 400},
			RetryNew:       {0.2, 200},
			RetryClose:     {4, 400},
			Upload:         {4, 256 << 10},
			Blobs:          {0.2, 10_000},
		},
		Loopback: map[string]Rate{
			Call: {50_000, 100_000}, Signup: local, Login: local, Recovery: local, Challenge: local,
		},
		MaxEntries: 100_000,
	}
}

// Set changes the rate of one kind, by "KIND=PERSECOND/BURST", as operators write
// it; KIND=off is no limit. A kind that Default does not have is an error, and so
// is a burst below 1 or a rate that is not above 0.
func (c *Config) Set(text string) error {
	kind, value, ok := strings.Cut(text, "=")
	if _, known := Default().Rates[kind]; !ok || !known {
		return fmt.Errorf("limits: %q: not KIND=PERSECOND/BURST with a kind among %s", text, strings.Join(Kinds(), ", "))
	}
	rates, loopback := maps.Clone(c.Rates), maps.Clone(c.Loopback)
	if value == "off" {
		delete(rates, kind)
		delete(loopback, kind)
	} else {
		perSecond, burst, _ := strings.Cut(value, "/")
		p, perr := strconv.ParseFloat(perSecond, 64)
		b, berr := strconv.Atoi(burst)
		if perr != nil || berr != nil || !(p > 0) || math.IsInf(p, 0) || b < 1 {
			return fmt.Errorf("limits: %q: not two numbers above 0, as in %s=%v/%d", text, kind, Default().Rates[kind].PerSecond, Default().Rates[kind].Burst)
		}
		rates[kind] = Rate{p, b}
		if _, ok := loopback[kind]; ok {
			loopback[kind] = Rate{p, b} // a proxy that stands before the server is meant, too
		}
	}
	c.Rates, c.Loopback = rates, loopback
	return nil
}

// Kinds are all kinds, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(Default().Rates)) }

// Limits are the buckets. Safe for concurrent use.
type Limits struct {
	config Config
	now    func() time.Time
	tables map[string]*table
}

// New makes full buckets.
func New(c Config, now func() time.Time) *Limits {
	if c.MaxEntries <= 0 {
		c.MaxEntries = 100_000
	}
	l := &Limits{config: c, now: now, tables: map[string]*table{}}
	for kind := range c.Rates {
		l.tables[kind] = &table{entries: map[string]*list.Element{}, max: c.MaxEntries}
	}
	return l
}

// Allow takes one token of the bucket that kind has for key, or refuses.
func (l *Limits) Allow(kind, key string) error { return l.AllowN(kind, key, 1) }

// AllowN takes n tokens at once. More than the burst is never to be had.
func (l *Limits) AllowN(kind, key string, n int) error {
	t := l.tables[kind]
	if t == nil || n <= 0 {
		return nil
	}
	r := l.config.Rates[kind]
	if local, ok := l.config.Loopback[kind]; ok && loopback(key) {
		r = local
	}
	now := l.now()
	wait, ok := t.take(network(kind, key), r, now, n)
	if !ok {
		return refusal.Limit(kind)
	}
	if wait > 0 {
		return refusal.Rate(kind, wait)
	}
	return nil
}

// table holds the buckets of one kind, the one used last in front.
type table struct {
	mu      sync.Mutex
	entries map[string]*list.Element
	order   list.List
	max     int
}

type entry struct {
	key    string
	bucket *rate.Limiter
}

// take returns how long to wait for n tokens; 0 when they are taken, false
// where they are never to be had.
func (t *table) take(key string, r Rate, now time.Time, n int) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[key]
	if ok {
		t.order.MoveToFront(e)
	} else {
		if len(t.entries) >= t.max {
			last := t.order.Back()
			delete(t.entries, t.order.Remove(last).(*entry).key)
		}
		e = t.order.PushFront(&entry{key, rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)})
		t.entries[key] = e
	}
	reserved := e.Value.(*entry).bucket.ReserveN(now, n)
	if !reserved.OK() {
		return 0, false
	}
	wait := reserved.DelayFrom(now)
	if wait > 0 {
		reserved.CancelAt(now) // what is refused costs nothing
	}
	return wait, true
}

// byAddress tells which kinds count by address.
func byAddress(kind string) bool {
	return kind == Call || kind == Signup || kind == Login || kind == Recovery || kind == Challenge
}

// network is what counts as one address: of IPv6 the /64, of which a household
// has 2^64 addresses.
func network(kind, key string) string {
	if handle, address, ok := strings.Cut(key, "@"); ok && (kind == LoginHandle || kind == RecoveryHandle) {
		return handle + "@" + network(Login, address)
	}
	if !byAddress(kind) {
		return key
	}
	a, err := netip.ParseAddr(key)
	if err != nil {
		return key
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

func loopback(key string) bool {
	if key == "" {
		return true // a call from within the process
	}
	a, err := netip.ParseAddr(key)
	return err == nil && a.Unmap().IsLoopback()
}
