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
	"a book with an older pin took a device back to a key that was rotated away": {
		Seed: 63, Accounts: 3, Devices: []int{3, 2, 6}, Nodes: 1, Rates: Rates{Store: 12}, Quota: 1000,
		Ops: []Op{
			{Join, 3639456369, 1892498069, 4142017388},
			{Work, 3800598860, 3972928656, 3821890989},
			{Work, 3288885167, 721737389, 3119689949},
			{Send, 444389942, 3613916857, 2191498479},
			{Send, 1403510221, 1203531873, 2763763088},
			{Plug, 1081297305, 3315019417, 819496856},
			{Rotate, 2352002750, 3548261439, 437983335},
			{Cut, 2233636121, 2832047990, 1863287909},
			{Logout, 365616384, 1690552335, 1648154096},
			{Work, 2575384231, 434460598, 2406219638},
			{Work, 1717088463, 1625089695, 1716408499},
		},
	},
}
