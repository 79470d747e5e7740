// Package world is a deterministic world for tests of the client engine: real
// engines over records in memory, the real handlers of the server on a store in
// memory, and between them a network that does what a test says: drops, doubles,
// delays, loses answers, or lies. Clocks move only by hand.
//
// One goroutine does everything, in an order that follows from the seed; only
// the server's event streams run in goroutines of their own, and the world waits
// until they are at rest (testing/synctest) before each step.
//
// A test is a function given to [Run]:
//
//	world.Run(t, 1, func(w *world.World) {
//		ana, bob := w.Account("ana"), w.Account("bob")
//		phone, laptop := ana.Device(), bob.Device()
//		m := phone.Send(message.Once, bob)
//		w.Run()
//		w.Readable(m, laptop)
//	})
package world
