package client

import (
	"time"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/seal"
)

// Event is something that happened to a device.
type Event interface{ event() }

// Connected: the connection to the server stands and the session is good. All
// outstanding effects come out again.
type Connected struct {
	// Since is from when the time to readable counts of what came while the
	// device was away, by the device's clock: when its user began to log in, or
	// started it. 0 is now: the network is back.
	Since identity.Time
}

// Disconnected: the connection is gone.
type Disconnected struct{}

// Tick: time has passed. A caller ticks at least once a minute while it runs,
// and when NextTick says so.
type Tick struct{}

// DayRead is one page of one day of the account's records.
type DayRead struct {
	Day      uint32
	Response *resealv1.ReadDayResponse
}

// Synced: all days of SyncDays were read to their last page since Connected.
type Synced struct{ Through uint32 }

// Streamed is an event of the server's stream.
type Streamed struct{ Event *resealv1.EventsResponse }

// Answered is the server's definite answer to a Call: a response, or a refusal
// that a repeat would not change. Passing failures are the caller's to repeat.
type Answered struct {
	Call     Call
	Response proto.Message
	Refusal  *Refusal
}

// Refusal is a definite refusal by the server.
type Refusal struct {
	Reason resealv1.Reason
	Detail *resealv1.ErrorDetail
}

// Learned are accounts' keys as the server answered a look-up, or a question
// that named no newer list than the engine knows: no rotation is missing.
type Learned struct{ Accounts []*resealv1.AccountKeys }

// LoggedIn is the own account's list as it came with a login, before the first
// Connected of its session: a rotation ends all sessions, and nothing may be sent
// or answered in the name of a key from before it.
type LoggedIn struct{ List []byte }

// AddContact pins the account behind a handle at first contact, and marks it
// accepted: the user addressed it.
type AddContact struct{ Keys *resealv1.AccountKeys }

// AddContent hands over a sealed content.
type AddContent struct {
	ID     seal.ContentID
	CEK    seal.CEK
	Digest message.Digest
	Length uint64
	// Blob names the ciphertext at the server; zero for inline content.
	Blob message.BlobID
	// Inline is the ciphertext where it is at most message.MaxInline bytes.
	Inline []byte
	// Segments is the encoded segment list of an inline content.
	Segments []byte
	// File is the name of the ciphertext file (not for inline content).
	File    string
	Created identity.Time
	// What the sender's own list of sent messages shows.
	Name, Type, Caption string
	Size                uint64
}

// DropContent forgets a content that no message refers to.
type DropContent struct{ ID seal.ContentID }

// Uploaded: the blob of a content is complete and durable at the server, or
// was refused for good.
type Uploaded struct {
	ID      seal.ContentID
	Refusal *Refusal
}

// Send addresses a content to accounts. Each gets a message of its own.
type Send struct {
	Content seal.ContentID
	To      []Recipient
	Policy  message.Policy
	// Life is how long the message may wait, at most message.MaxLife.
	Life time.Duration
}

// Recipient is one addressed account with the client id of its message, which
// makes a repeated command end in one message.
type Recipient struct {
	Account identity.AccountID
	Client  message.ClientID
}

// Unsend deletes a message of ours everywhere.
type Unsend struct{ ID message.ID }

// View begins to open a message: for a once message it stores the intent and
// claims the one view; a keep message is granted at once.
type View struct{ ID message.ID }

// Downloaded: the whole ciphertext of a message lies in a file and matched its
// digest; Meta is what the content says of itself.
type Downloaded struct {
	ID                  message.ID
	File                string
	Name, Type, Caption string
	Size                uint64
}

// Unreadable: the server has no ciphertext of a message, or not as it was sent.
// Both may change until the message expires.
type Unreadable struct{ ID message.ID }

// Viewed: the content was shown completely.
type Viewed struct{ ID message.ID }

// EndView: nobody waits for the grant of a message any more, or shows it: the
// claim is neither made again nor made longer.
type EndView struct{ ID message.ID }

// ContactChange is what a user may do with a contact.
type ContactChange uint8

// The changes of ChangeContact.
const (
	Accept ContactChange = iota + 1
	Block
	Unblock
	// Verify marks the contact's present account key as compared, and accepts who
	// was a stranger, unless blocked.
	Verify
	Unverify
	// Trust takes the key that raised an alarm as the contact's key.
	Trust
	// Refuse drops what a stranger has sent so far, here and on the account's
	// other devices; nobody is told. What comes later is shown again.
	Refuse
)

// ChangeContact changes one contact.
type ChangeContact struct {
	Account identity.AccountID
	Change  ContactChange
	// Key is the account key that the user looked at (Verify, Trust): the
	// change is refused if it is not the one on record any more.
	Key identity.AccountPublic
}

// OwnList is a list of the own account that this device published itself.
type OwnList struct{ List []byte }

func (LoggedIn) event()      {}
func (Connected) event()     {}
func (Disconnected) event()  {}
func (Tick) event()          {}
func (DayRead) event()       {}
func (Synced) event()        {}
func (Streamed) event()      {}
func (Answered) event()      {}
func (Learned) event()       {}
func (AddContact) event()    {}
func (AddContent) event()    {}
func (DropContent) event()   {}
func (Uploaded) event()      {}
func (Send) event()          {}
func (Unsend) event()        {}
func (View) event()          {}
func (Downloaded) event()    {}
func (Unreadable) event()    {}
func (Viewed) event()        {}
func (EndView) event()       {}
func (ChangeContact) event() {}
func (OwnList) event()       {}
