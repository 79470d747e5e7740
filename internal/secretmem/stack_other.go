//go:build !amd64 && !arm64

package secretmem

// clearStack clears a piece of what is free of the caller's stack.
//
//go:noinline
func clearStack() {
	var b [512]byte
	clear(b[:])
	sink(&b)
}

//go:noinline
func sink(*[512]byte) {}
