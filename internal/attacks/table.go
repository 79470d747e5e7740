package attacks

// All is the table.
func All() []Group {
	return []Group{lists, certificates, wraps, headers, ends, retries, states, real}
}
