package client

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

// Effect is something to be done after a step's batch is durable.
type Effect interface{ effect() }

// Call is a request to the server. Two calls with one Key are one and the
// same: a caller that has one of them under way need not start the other.
type Call struct {
	Key string
	// Request is one of the API's request messages; its type names the call.
	Request proto.Message
}

// Upload puts a ciphertext file to the server as a blob, or resumes it, and
// ends in an Uploaded event.
type Upload struct {
	Content    seal.ContentID
	Blob       message.BlobID
	File       string
	Length     uint64
	Capability seal.Capability
}

// Forget removes a ciphertext file that nothing needs any more.
type Forget struct{ File string }

// Show tells the application something.
type Show struct{ Notice Notice }

func (Call) effect()   {}
func (Upload) effect() {}
func (Forget) effect() {}
func (Show) effect()   {}

// Notice is something an application may want to show.
type Notice interface{ notice() }

// Arrived: a message came; Ready tells whether it can be opened by now, Update
// that it needs a newer version of the program. Where that concerns its header,
// who sent it is not known, and the id is the one of [NewerID].
type Arrived struct {
	ID            message.ID
	From          identity.AccountID
	Ready, Update bool
}

// Ready: a message that waited for a key can be opened.
type Ready struct {
	ID   message.ID
	From identity.AccountID
	// SenderDevice is the device that sent the message.
	SenderDevice identity.DeviceID
	// Waited is the time since this device first knew of the message.
	Waited time.Duration
	// Retried tells that a retry request was needed.
	Retried bool
	// ByAccount and ByDevice name the wrapping device.
	ByAccount identity.AccountID
	ByDevice  identity.DeviceID
}

// Granted: the one view of a message is reserved for this device; what the
// application shows now must be reported as Viewed.
type Granted struct{ ID message.ID }

// Denied: a message cannot be viewed: another device is viewing it or it has
// ended.
type Denied struct {
	ID  message.ID
	Why error
}

// Stored: the server has a message of ours, durable.
type Stored struct {
	ID     message.ID
	Client message.ClientID
	To     identity.AccountID
	// Devices is how many devices have a wrap; Rewrapped how many of them
	// were found by the second look.
	Devices, Rewrapped int
}

// NotSent: a message of ours was refused for good.
type NotSent struct {
	Client message.ClientID
	To     identity.AccountID
	Why    error
}

// Receipted: somebody's device tells of a message of ours.
type Receipted struct {
	ID     message.ID
	By     identity.AccountID
	Device identity.DeviceID
	What   message.What
}

// Ended: a message is over, here and everywhere.
type Ended struct {
	ID    message.ID
	State message.State
}

// Answering: this device answered somebody's retry request with n wraps.
type Answering struct {
	To    identity.AccountID
	Wraps int
}

// ListChanged: an account's device list changed; Own tells whether it is the
// user's.
type ListChanged struct {
	Account        identity.AccountID
	Own            bool
	Added, Removed []identity.DeviceID
}

// Alarm: something signed does not fit what was signed before; sends, answers
// and the inbox of this account are held back.
type Alarm struct {
	Account identity.AccountID
	Why     string
}

// Removed: this device is no longer in its account's list.
type Removed struct{}

// CaughtUp: everything that waited at the server is here.
type CaughtUp struct{}

func (Arrived) notice()     {}
func (Ready) notice()       {}
func (Granted) notice()     {}
func (Denied) notice()      {}
func (Stored) notice()      {}
func (NotSent) notice()     {}
func (Receipted) notice()   {}
func (Ended) notice()       {}
func (Answering) notice()   {}
func (ListChanged) notice() {}
func (Alarm) notice()       {}
func (Removed) notice()     {}
func (CaughtUp) notice()    {}
