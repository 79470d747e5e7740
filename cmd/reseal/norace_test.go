//go:build !race

package main

// slack is for the race detector, which is not there.
const slack = 1
