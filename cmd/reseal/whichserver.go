package main

import (
	"slices"
	"strings"

	"github.com/reseal/reseal"
)

// sameServer compares URLs as they were typed, but for a slash at the end.
func sameServer(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// noteServer tells who named a server that an account which is logged in here
// stays with its own: else an outcome at the one would be taken for one at the
// other.
func (c *cli) noteServer(all []reseal.LoggedIn, handle string) {
	for _, l := range all {
		if c.serverSaid && l.Handle == handle && !sameServer(l.Server, c.server) {
			c.notef("hint: %s is logged in at %s, and this is about that server, not about %s: --server and RESEAL_SERVER are for who logs in or signs up", l.Handle, l.Server, c.server)
		}
	}
}

// looksAt is the server to look at where a command is about this home: the one
// that was named, or else that of who is logged in.
func (c *cli) looksAt(all []reseal.LoggedIn) string {
	if c.serverSaid || len(all) == 0 || slices.ContainsFunc(all, func(l reseal.LoggedIn) bool { return sameServer(l.Server, c.server) }) {
		return c.server
	}
	return all[0].Server
}
