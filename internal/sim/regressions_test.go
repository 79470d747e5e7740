package sim

// regressions are the seeds of lives that found a fault, with its story.
var regressions = map[uint64]string{
	36:  "a block that came while the book was on its way to the server never went there",
	443: "an end that came before the key was forgotten: the message stayed readable until the next sync",
}
