// Package benchserver says how a server is started that is measured: like any
// other, but for its limits. Package bench itself knows nothing of servers.
package benchserver

import (
	"github.com/reseal/reseal/internal/quota"
	"github.com/reseal/reseal/server/limits"
)

// Args are the flags of serve for a server that is measured from one address: every
// limit is counted, and as high as the load that is to show what the server can.
func Args() []string {
	args := []string{"--strangers", "0"}
	for _, kind := range limits.Kinds() {
		args = append(args, "--limit", kind+"=10000000/10000000")
	}
	for _, name := range quota.Names() {
		if name != "blocked" && name != "book" {
			args = append(args, "--quota", name+"=1000G")
		}
	}
	return args
}
