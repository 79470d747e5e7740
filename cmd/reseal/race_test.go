//go:build race

package main

// slack is how much more memory the race detector takes.
const slack = 8
