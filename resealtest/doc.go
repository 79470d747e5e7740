// Package resealtest lets the tests of an app play what happens to people: a
// phone without a network, a login on another phone, a message whose key has not
// come, a view that another device took, a server that lies, or has no room
// left. There is a real server in the test's process, with its records in
// memory, and real installations in folders of their own; no port is opened
// (unless [World.URL] is asked for), and nothing is weaker or less checked than
// in production. A sign-up or a login costs about a tenth of a second, most of
// it Argon2id at its full price: there is no way to lower it, so none that a
// production client could be talked into.
//
//	func TestWaitingScreen(t *testing.T) {
//		w := resealtest.New(t)
//		ana, ben := w.Device("ana"), w.Device("ben")
//		photo := ana.Text("look", "ben")
//		ana.CutOff()      // nobody is there who has the key
//		ben = ben.Hop()   // ben logs in on another phone
//		ben.Await(photo, reseal.StateWaiting)
//		...               // what does the app show now?
//		ana.Reconnect()
//		ben.Await(photo, reseal.StateReady)
//	}
//
// # The parts
//
// A [World] is the server and the time. A [Phone] is a machine: a folder, a
// network that can be cut off or slowed, a clock that can be wrong. A [Device] is
// somebody's account on a phone; it has all methods of [reseal.Account] and of
// its phone. [World.Device] signs up whom nobody knows yet, and logs everybody
// else in on one more phone.
//
// # The app's own code
//
// An app opens its installation itself:
//
//	phone := w.Phone()
//	app := myapp.New(phone.Dir(), phone.Options())
//
// and its login screen is given [World.Password]. What is done to the phone then
// happens to the app. It must leave Options.HTTP and Options.Now as they are,
// since the network and the clock are in there.
//
// # Without a test
//
// [Run] is for examples, and for trying an app by hand.
//
// # What fails
//
// What does not work out ends the test with the place where it was asked for.
// What an app is to see as an error is had from the methods of reseal.Account.
// Waiting is bounded by a minute, since machines that test are slow.
//
// A World may be used from several goroutines; a Device by one at a time, for
// logging in changes its Account.
package resealtest
