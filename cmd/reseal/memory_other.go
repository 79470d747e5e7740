//go:build !linux

package main

// readable is left to the system's own rules (macOS asks for an entitlement).
func readable() bool { return false }

// swap is encrypted by default on macOS, and not to be asked elsewhere.
func swap() (on, known bool) { return false, false }
