//go:build amd64 || arm64

package secretmem

// clearStack clears what is free of the caller's stack.
func clearStack()
