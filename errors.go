package reseal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/capsule"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/client/remote/link"
	"github.com/reseal/reseal/client/remote/transfer"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/identity"
)

// What a caller acts on.
var (
	// ErrLogin: wrong password or unknown account; nothing tells them apart.
	ErrLogin = errors.New("reseal: wrong password or unknown account")
	// ErrOffline: no server answers.
	ErrOffline = errors.New("reseal: no server answers")
	// ErrPlainHTTP: the server's URL is http and not of this machine, and
	// Options.PlainHTTP does not allow that.
	ErrPlainHTTP = errors.New("reseal: plain http to another machine")
	// ErrNotReseal: what answers at the address is no Reseal server.
	ErrNotReseal = errors.New("reseal: what answers is no reseal server")
	// ErrOtherServer: what answers at the address is a Reseal server, but not the
	// one that the account logged in at: the address leads elsewhere, or the
	// server was begun anew. It was shown no session, nothing it says was taken,
	// and the login goes on once the right one answers again.
	ErrOtherServer = errors.New("reseal: what answers is not the server that the account logged in at")
	// ErrServer: what the server served does not verify: it is broken or lies.
	ErrServer = errors.New("reseal: what the server serves does not verify")
	// ErrSessionEnded: the session was ended; log in again. With ErrRemoved as
	// well, by the server's word, the device was removed.
	ErrSessionEnded = errors.New("reseal: the session has ended")
	// ErrSessionRecord: the session record and the section here do not belong
	// together, or the keyring has lost what opens the record: Forget the login
	// and log in again.
	ErrSessionRecord = errors.New("reseal: the session record does not open the account: log out and log in again")
	// ErrNotLoggedIn: no such account is logged in here.
	ErrNotLoggedIn = errors.New("reseal: not logged in")
	// ErrLoggedIn: the account is logged in here already.
	ErrLoggedIn = errors.New("reseal: logged in already")
	// ErrRemoved: this device was removed from its account.
	ErrRemoved = errors.New("reseal: this device was removed from the account")
	// ErrHandleTaken: somebody else has the handle.
	ErrHandleTaken = errors.New("reseal: handle is taken")
	// ErrHandle: the text is no handle.
	ErrHandle = errors.New("reseal: not a handle")
	// ErrSignupClosed: the server takes no new accounts.
	ErrSignupClosed = errors.New("reseal: the server takes no new accounts")
	// ErrInvite: the server takes new accounts by invite, and none was given that
	// is good: mistyped, unknown, ended, withdrawn or used.
	ErrInvite = errors.New("reseal: no good invite")
	// ErrUnknownMessage: no message has this id.
	ErrUnknownMessage = errors.New("reseal: unknown message")
	// ErrAmbiguous: more than one message begins like this.
	ErrAmbiguous = errors.New("reseal: more than one message has this prefix")
	// ErrWaiting: no key for the message has come to this device yet.
	ErrWaiting = errors.New("reseal: the message waits for its key")
	// ErrUpdate: the message needs a newer version of the program.
	ErrUpdate = errors.New("reseal: the message needs a newer version of the program")
	// ErrClaimed: another device of the account is viewing the message.
	ErrClaimed = errors.New("reseal: another device is viewing the message")
	// ErrNotAtServer: the server has no such message (any more), as one that was
	// put back from a copy. It grants no view of it; only its sender can send
	// it again.
	ErrNotAtServer = errors.New("reseal: the server does not have the message")
	// ErrHeld: the message is held back until the user decides about its
	// sender, whose keys raised an alarm or who is blocked.
	ErrHeld = errors.New("reseal: the message is held back until you decide about its sender")
	// ErrBlocked: the account addressed is blocked by the user.
	ErrBlocked = errors.New("reseal: account is blocked")
	// ErrAlarm: the account's keys changed in a way that its old key does not
	// vouch for.
	ErrAlarm = errors.New("reseal: the account's keys changed unexpectedly")
	// ErrKeyChanged: the key that was decided about is not the one on record, or
	// not offered, any more: look at the contact again.
	ErrKeyChanged = errors.New("reseal: the account key is another one by now")
	// ErrNoStranger: what a contact sends cannot be refused, only blocked.
	ErrNoStranger = errors.New("reseal: no stranger")
	// ErrAltered: the ciphertext at the server is not what was sent.
	ErrAltered = errors.New("reseal: the content was altered")
	// ErrCutOff: the content comes off short each time. Part of it is missing at
	// the server, or the network cuts off what is long.
	ErrCutOff = errors.New("reseal: the content comes off short each time")
	// ErrGone: the content is no longer at the server.
	ErrGone = errors.New("reseal: the content is no longer at the server")
	// ErrTooLarge: the content, or a part of its description, is over a limit.
	ErrTooLarge = errors.New("reseal: over a size limit")
	// ErrClock: the device's clock is too far from the server's.
	ErrClock = errors.New("reseal: the clock of this device is wrong")
	// ErrBusy: another process owns the folder.
	ErrBusy = errors.New("reseal: another process owns this folder")
	// ErrDamaged: a file of the installation is damaged; the error names it.
	ErrDamaged = errors.New("reseal: damaged file")
	// ErrNewer: a file here, or a record of an account at the server, was
	// written by a newer version of the program: update this one.
	ErrNewer = errors.New("reseal: written by a newer version: update this program")
	// ErrFull: no room on the disk, or none within a quota or a limit on the
	// size of files.
	ErrFull = errors.New("reseal: disk is full")
	// ErrNoRoom: the account's database on this device is full. Messages stay at
	// the server until some of those here are over, or they expire.
	ErrNoRoom = errors.New("reseal: too many messages are stored on this device: open some, or wait until they expire")
	// ErrStrangers: messages of strangers stay at the server until some of those
	// here are over, or their senders are accepted or blocked.
	ErrStrangers = errors.New("reseal: too many messages of strangers: accept or block some of their senders")
	// ErrBookFull: the contact book is full. Contacts beyond it are known on the
	// device that made them only.
	ErrBookFull = errors.New("reseal: the contact book is full: this change stays on this device")
	// ErrServerFull: no room at the server.
	ErrServerFull = errors.New("reseal: the server takes nothing more now")
	// ErrClosed: the account or installation was closed.
	ErrClosed = errors.New("reseal: closed")
	// ErrLastDevice: the only device of an account cannot be removed.
	ErrLastDevice = errors.New("reseal: the account's only device cannot be removed")
	// ErrResetCode: not the code of a reset that the server's operator announced,
	// or the handle is unknown, or the reset was cancelled.
	ErrResetCode = errors.New("reseal: wrong reset code")
	// ErrNoReset: no reset of the account is announced, or another device asked
	// for the one that is.
	ErrNoReset = errors.New("reseal: no reset that this device asked for")
	// ErrUnknownDevice: the account has no such device.
	ErrUnknownDevice = errors.New("reseal: unknown device")
)

// UnknownAccountError names a handle that nobody has.
type UnknownAccountError struct{ Handle string }

func (e *UnknownAccountError) Error() string { return "reseal: unknown account " + e.Handle }

// RenamedError: the server says that this handle names another account than the
// contact of that name. Nothing is sent: the contact may have given its handle
// up, or the server may be putting somebody in between. Ask the person; the new
// account shows as soon as it writes, and can be accepted then.
type RenamedError struct{ Handle string }

func (e *RenamedError) Error() string {
	return "reseal: the server says that " + e.Handle + " is another account than the contact of that name"
}

// EndedError tells how a message ended.
type EndedError = client.EndedError

// WeakPasswordError: the password is too easy to guess, which a corrupted server
// could try to do. Its Reason and Suggestions are for people.
type WeakPasswordError = password.Weak

// RateError: too much of something in too short a time. Limit is the server's name
// for it, as docs/operators.md has them ("login_handle"), and may be empty; After
// says when to come back.
type RateError struct {
	Limit string
	After time.Duration
}

func (e *RateError) Error() string {
	s := "reseal: too many calls"
	if e.Limit != "" {
		s += " (" + e.Limit + ")"
	}
	return fmt.Sprintf("%s; come back in %v", s, e.After.Round(time.Second))
}

// ClockError is ErrClock with the difference: positive when the device's clock
// is ahead.
type ClockError struct{ Ahead time.Duration }

func (e *ClockError) Error() string { return fmt.Sprintf("%v: it is off by %v", ErrClock, e.Ahead) }

// Is makes errors.Is(err, ErrClock) true.
func (e *ClockError) Is(target error) bool { return target == ErrClock }

// NotDueError: the reset that was asked for may not happen yet; After says when.
type NotDueError struct{ After time.Duration }

func (e *NotDueError) Error() string {
	return fmt.Sprintf("reseal: the reset is announced, and not due for another %v", e.After.Round(time.Second))
}

// LimitError is ErrTooLarge with the limit's name.
type LimitError struct{ Limit string }

func (e *LimitError) Error() string { return "reseal: over the server's limit: " + e.Limit }

// Is makes errors.Is(err, ErrTooLarge) true.
func (e *LimitError) Is(target error) bool { return target == ErrTooLarge }

// QuotaError: the server keeps no more of something for this account. It names
// the quota, and says when there is room again without anybody doing anything
// for it; 0 where only deleting or reading helps.
type QuotaError struct {
	Quota string
	After time.Duration
}

func (e *QuotaError) Error() string {
	s := "reseal: the server's quota is used up: " + e.Quota
	if e.After > 0 {
		s += fmt.Sprintf("; again in %v", e.After.Round(time.Second))
	}
	return s
}

// overLimit is what a refusal by a limit is to the caller: a size of the request,
// or a quota that fills and empties.
func overLimit(name string, after time.Duration) error {
	if after > 0 {
		return &QuotaError{name, after}
	}
	return &LimitError{name}
}

// wrapped is one error as another: errors.Is finds both.
func as(kind, err error) error { return fmt.Errorf("%w: %w", kind, err) }

// served is the error of something that the server served and that is not good.
func served(err error) error {
	if errors.Is(err, identity.ErrVersion) || errors.Is(err, capsule.ErrVersion) {
		return as(ErrNewer, err)
	}
	return as(ErrServer, err)
}

// servedList is served for a device list.
func servedList(err error) error { return served(fmt.Errorf("device list: %w", err)) }

func vaultError(err error) error {
	for _, m := range []struct{ from, to error }{
		{vault.ErrBusy, ErrBusy},
		{vault.ErrDamaged, ErrDamaged},
		{vault.ErrNewer, ErrNewer},
		{vault.ErrFull, ErrFull},
		{vault.ErrKeyring, ErrSessionRecord},
	} {
		if errors.Is(err, m.from) {
			return as(m.to, err)
		}
	}
	return diskError(err)
}

func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return as(ErrFull, err)
	}
	return err
}

// callError turns what a call ended in into an error of this package.
func (in *Installation) callError(err error) error {
	if err == nil {
		return nil
	}
	switch {
	case errors.Is(err, link.ErrClosed):
		return as(ErrClosed, err)
	case errors.Is(err, link.ErrOffline):
		return as(ErrOffline, err)
	case errors.Is(err, link.ErrNotReseal), errors.Is(err, transfer.ErrNotReseal):
		return as(ErrNotReseal, err)
	case errors.Is(err, link.ErrOtherServer):
		return as(ErrOtherServer, err)
	case isSessionEnd(err):
		return sessionEnd(err)
	}
	d := refusal.Detail(err)
	switch d.GetReason() {
	case resealv1.Reason_REASON_LOGIN_FAILED:
		return ErrLogin
	case resealv1.Reason_REASON_HANDLE_TAKEN:
		return ErrHandleTaken
	case resealv1.Reason_REASON_SIGNUP_CLOSED:
		return ErrSignupClosed
	case resealv1.Reason_REASON_INVITE:
		return ErrInvite
	case resealv1.Reason_REASON_RATE:
		return &RateError{d.Limit, time.Duration(d.RetryAfterMs) * time.Millisecond}
	case resealv1.Reason_REASON_NO_RESET:
		return ErrNoReset
	case resealv1.Reason_REASON_NOT_DUE:
		return &NotDueError{time.Duration(d.RetryAfterMs) * time.Millisecond}
	case resealv1.Reason_REASON_LIMIT:
		return overLimit(d.Limit, time.Duration(d.RetryAfterMs)*time.Millisecond)
	case resealv1.Reason_REASON_CLOCK:
		return &ClockError{in.o.Now().Sub(time.UnixMilli(int64(d.ServerTimeMs))).Round(time.Second)}
	case resealv1.Reason_REASON_UNAVAILABLE, resealv1.Reason_REASON_DRAINING:
		return as(ErrServerFull, err)
	case resealv1.Reason_REASON_UNSPECIFIED:
	default:
		return err
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return as(ErrOffline, err)
	}
	return err
}

// engineError turns an error of the engine into one of this package.
func engineError(err error) error {
	if errors.Is(err, identity.ErrVersion) {
		return as(ErrNewer, err)
	}
	for _, m := range []struct{ from, to error }{
		{client.ErrUnknownMessage, ErrUnknownMessage},
		{client.ErrWaiting, ErrWaiting},
		{client.ErrUpdate, ErrUpdate},
		{client.ErrClaimed, ErrClaimed},
		{client.ErrNotAtServer, ErrNotAtServer},
		{client.ErrHeld, ErrHeld},
		{client.ErrBlocked, ErrBlocked},
		{client.ErrAlarm, ErrAlarm},
		{client.ErrKeyChanged, ErrKeyChanged},
		{client.ErrNoStranger, ErrNoStranger},
		{client.ErrKeys, ErrServer},
		{client.ErrState, ErrDamaged},
		{client.ErrNoRoom, ErrNoRoom},
	} {
		if errors.Is(err, m.from) {
			return as(m.to, err)
		}
	}
	return err
}

func ended(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return os.ErrDeadlineExceeded
}
