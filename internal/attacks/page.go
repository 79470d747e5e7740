package attacks

import (
	"fmt"
	"strings"
)

// Page is docs/attacks.md.
func Page() string {
	var b strings.Builder
	n := 0
	for _, g := range All() {
		n += len(g.Attacks)
	}
	fmt.Fprintf(&b, `# What a lying server tries

The server is not trusted with contents, keys or the truth. These are %d attacks by a server, alone, with a thief or with
somebody who got the same content. Each has a test: package internal/attacks plays it, or the test that is named with its file does. Of
those a rule holds only that the test is there; that it shows what its row says, people have read, row by row. After every one that is played in the deterministic world it is checked as well that the lie was told at all, that no key
went to a device outside a list that its account signed, that nothing is shown that nobody sent, that no pinned key moved, and
that everything opens once the server is honest again.

	go test ./internal/attacks

This page is written from the tests' own table (`+"`go test ./internal/attacks -run TestPage -update`"+`).
`, n)
	for _, g := range All() {
		fmt.Fprintf(&b, "\n## %s\n\n| attack | models | what must happen |\n| --- | --- | --- |\n", g.Title)
		for _, a := range g.Attacks {
			name := a.Name
			if a.Test != "" {
				name += ": " + strings.Fields(a.Test)[0]
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, a.Models, a.Must)
		}
	}
	return b.String()
}
