package sim

// regressions are the seeds of lives that found a fault, with its story.
var regressions = map[uint64]string{
	36:  "a block that came while the book was on its way to the server never went there",
	443: "an end that came before the key was forgotten: the message stayed readable until the next sync",
}

// leastLives are lives cut down to what found a fault, by its story.
var leastLives = map[string]Plan{
	"a message whose answer got lost was made anew days after it expired, and came twice": {
		Seed: 422, Accounts: 4, Devices: []int{1, 1, 1, 1}, Nodes: 1, Quota: 1000,
		Ops: []Op{
			{Send, 161415730, 3527431716, 835117883},
			{Part, 1327516270, 735485662, 3319216214},
			{Work, 1819639563, 1212533953, 2070603745},
			{Logout, 1568283978, 1301877291, 1178104839},
			{Pass, 1754515697, 693829219, 4002499518},
		},
	},
}
