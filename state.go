package reseal

import "github.com/reseal/reseal/client"

// MessageState is where a message stands on this device.
type MessageState = client.MessageState

// The states. The first four are of messages that came, the last three of those
// that the account sent.
const (
	// StateWaiting: this device has no key for it yet, and asks for one.
	StateWaiting = client.Waiting
	// StateReady: it can be opened.
	StateReady = client.IsReady
	// StateUpdate: it needs a newer version of the program.
	StateUpdate = client.Update
	// StateHeld: it is held back until the user decides about its sender.
	StateHeld = client.Held

	// StateViewed, StateExpired and StateUnsent: it is over, everywhere.
	StateViewed  = client.IsViewed
	StateExpired = client.Expired
	StateUnsent  = client.IsUnsent

	// StateQueued: the server does not have it yet. StateSent: it has.
	StateQueued = client.Queued
	StateSent   = client.Sent
	// StateRefused: the server refused it for good; Message.Why says why.
	StateRefused = client.Refused
)
