package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client/handover"
	"github.com/reseal/reseal/client/password"
	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/internal/terminal"
	"github.com/reseal/reseal/message"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/backup"
	"github.com/reseal/reseal/server/certs"
	"github.com/reseal/reseal/store"
)

var (
	errInterrupted = errors.New("interrupted")
	errTimeout     = errors.New("the server did not answer in time")
	errOwnerGone   = errors.New("the process that ran the command for this one has ended; what came of it is not known")
	errOwnerServer = errors.New("another reseal process uses this home with another server")
	errExists      = errors.New("file exists")
	errNotFile     = errors.New("not a file")
	errNumber      = errors.New("the safety numbers are not the same")
	errChecks      = errors.New("not everything is as it should be")
	errSession     = errors.New("unknown session")
)

// usageError is wrong use: exit code 2.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

func usagef(hint, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), hint: hint}
}

// kind is one code of the closed list that scripts may rely on.
type kind struct {
	code string
	// is tells whether an error is of the kind.
	is func(error) bool
	// message replaces the error's own text where that says no more.
	message string
	hint    string
}

func any_(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
}

func typed[E error](more func(E) bool) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[E](err)
		return ok && (more == nil || more(e))
	}
}

func endedAs(s message.State) func(error) bool {
	return typed(func(e *reseal.EndedError) bool { return e.State == s })
}

// kinds is the list, in the order in which an error is looked up. The last one
// is everything else.
var kinds = []kind{
	{"usage", typed[*usageError](nil), "", `try "reseal help"`},
	{"interrupted", any_(errInterrupted, context.Canceled), "interrupted", "what was begun goes on with the next command; nothing is lost"},
	{"login_failed", any_(reseal.ErrLogin), "wrong password or unknown account", "check the handle, the keyboard layout and the server"},
	{"untrusted", typed[*tls.CertificateVerificationError](nil), "the server's certificate is not trusted", "check the server's name and this machine's clock; in a foreign network, log in to that first; it may also be somebody in between"},
	{"not_reseal", any_(reseal.ErrNotReseal), "what answers there is no reseal server", "check --server or RESEAL_SERVER; in a foreign network, log in to that first"},
	{"wrong_server", any_(reseal.ErrOtherServer), "what answers is not the server that the account logged in at", "nothing was shown to it, and the login is kept: it goes on when the right server answers; check the network (a VPN, the name's address), and ask the server's operator; if it was begun anew for good, \"reseal logout\""},
	{"plain_http", any_(reseal.ErrPlainHTTP), "plain http is for this machine only", `log in at the server's https address, or see "reseal help" for --plain-http`},
	{"owner_gone", any_(errOwnerGone, handover.ErrOwnerGone), errOwnerGone.Error(), `look first ("reseal inbox --sent", "reseal status"), then repeat`},
	{"offline", any_(reseal.ErrOffline), "no server answers", `is it running ("reseal serve")? --server or RESEAL_SERVER says where`},
	{"timeout", any_(errTimeout, context.DeadlineExceeded, os.ErrDeadlineExceeded), "the server did not answer in time", "try again"},
	{"server", any_(reseal.ErrServer), "", "the server is broken or lies: nothing was taken from it; tell its operator, and compare safety numbers"},
	{"removed", any_(reseal.ErrRemoved), "this device was removed from the account", `what is sealed here cannot be opened any more; "reseal login HANDLE" makes a new device`},
	{"session_ended", any_(reseal.ErrSessionEnded), "the session has ended", `log in again: "reseal login HANDLE"`},
	{"session_record", any_(reseal.ErrSessionRecord), "the session record does not open the account", `"reseal login HANDLE", after a restart of the machine; else "reseal logout" first: the password opens what is here`},
	{"not_logged_in", any_(reseal.ErrNotLoggedIn), "nobody is logged in here by that name", `"reseal login HANDLE" or "reseal signup HANDLE"; "reseal status" shows who is`},
	{"logged_in", any_(reseal.ErrLoggedIn), "logged in here already", `"reseal status" shows it; "reseal logout" ends it`},
	{"handle_taken", any_(reseal.ErrHandleTaken), "the handle is taken", "choose another; if it is yours, log in"},
	{"handle", any_(reseal.ErrHandle), "not a handle", "3 to 32 of a-z, 0-9, '.', '_', '-', starting with a letter, no separator last or doubled"},
	{"weak_password", typed[*password.Weak](nil), "", "use four or more words that do not belong together"},
	{"password", any_(password.Err, errMismatch), "", "passwords are UTF-8 text without control characters"},
	{"no_terminal", any_(handover.ErrPrompt, terminal.ErrAnswer), "no answer on this terminal", "use --password-stdin or RESEAL_PASSWORD"},
	{"signup_closed", any_(reseal.ErrSignupClosed), "the server takes no new accounts", "ask its operator"},
	{"invite", any_(reseal.ErrInvite), "the server takes new accounts by invite, and this is none that is good", "--invite CODE; a code is good once, until its end: if you have used it already, log in; else ask the server's operator for another"},
	{"unknown_account", typed[*reseal.UnknownAccountError](nil), "", "check the handle; nothing was sent to anybody"},
	{"renamed", typed[*reseal.RenamedError](nil), "", "nothing was sent; ask the person elsewhere: either the handle was given up, or somebody is put in between"},
	{"recovery_code", any_(reseal.ErrRecoveryCode), "wrong recovery code or unknown account", "check the groups on the paper, and the handle"},
	{"recovery_copy", any_(reseal.ErrCopy), "", "log in with the password, if you know it, and write down a new code"},
	{"same_password", any_(reseal.ErrSamePassword), "", "choose another password"},
	{"unknown_message", any_(reseal.ErrUnknownMessage), "no message has this id", `"reseal inbox --all" and "reseal inbox --sent" list them`},
	{"ambiguous", any_(reseal.ErrAmbiguous), "more than one id begins like this", "give more digits of it"},
	{"waiting", any_(reseal.ErrWaiting), "the key for this message has not come to this device yet", "a device that has it answers when it is online; --wait 1m waits for that"},
	{"update", any_(reseal.ErrUpdate), "the message needs a newer version of the program", "update reseal"},
	{"claimed", any_(reseal.ErrClaimed), "another device of yours is viewing the message", "it is free again 2 minutes after that device died"},
	{"not_at_server", any_(reseal.ErrNotAtServer), "the server does not have this message; it may have been put back from a backup", "nothing of it was shown; ask the sender to send it again"},
	{"viewed", endedAs(message.StateViewed), "the message was viewed, and is gone everywhere", "it could be viewed once; ask the sender to send it again"},
	{"expired", endedAs(message.StateExpired), "the message has expired, and is gone everywhere", "ask the sender to send it again, with a longer --expires; if it should not be over yet, look at the clock of this machine"},
	{"unsent", endedAs(message.StateUnsent), "the message was unsent by its sender", "nothing of it is left; ask the sender why"},
	{"held", any_(reseal.ErrHeld), "the message is held back until you decide about its sender", `"reseal contacts" shows why; then "contacts trust" or "contacts unblock"`},
	{"blocked", any_(reseal.ErrBlocked), "you have blocked that account", `"reseal contacts unblock HANDLE"`},
	{"alarm", any_(reseal.ErrAlarm), "that account's keys changed in a way its old key does not vouch for", `ask the person elsewhere; "reseal contacts trust HANDLE" shows the safety number to compare`},
	{"key_changed", any_(reseal.ErrKeyChanged), "that account's key is another one by now", `look again: "reseal contacts trust HANDLE" or "contacts verify HANDLE"`},
	{"altered", any_(reseal.ErrAltered), "the content at the server is not what was sent: nothing of it was shown", "ask the sender to send it again, and tell the server's operator"},
	{"not_shown", any_(reseal.ErrNotShown), "the content was not read to its end, and counts as not viewed", "open it again"},
	{"cut_off", any_(reseal.ErrCutOff), "the content comes off short each time: nothing of it was shown", "try again, from another network, too; if it stays so, part of it is missing at the server: tell its operator, who may have it in a backup"},
	{"gone", any_(reseal.ErrGone), "the content is no longer at the server", "ask the sender to send it again, or the server's operator for a backup"},
	{"too_large", any_(reseal.ErrTooLarge), "", "send less at once"},
	{"quota", typed[*reseal.QuotaError](nil), "", "wait until then; the quotas are the server operator's choice"},
	{"rate", typed[*reseal.RateError](nil), "", "wait, and try again"},
	{"clock", any_(reseal.ErrClock), "", "set the clock of this machine"},
	{"other_server", any_(errOwnerServer), "", `end that process (a "watch", say), or use another --home`},
	{"busy", any_(reseal.ErrBusy, handover.ErrSilent), "another process owns this home and does not take commands", `if it is stopped, let it go on ("fg"); else end it, or wait until it has ended`},
	{"other_user", any_(handover.ErrPeer), "the process that owns this home belongs to another user", "use your own --home"},
	{"version", any_(handover.ErrProtocol), "the process that owns this home is another version of the program", "end it first"},
	{"newer", any_(reseal.ErrNewer, store.ErrNewer), "", "update reseal: nothing was changed"},
	{"damaged", any_(reseal.ErrDamaged), "", `put the file back from a copy, or move it away: damage to "vault" or "journal-..." then costs this device's keys, to "session-..." a login`},
	{"open_folder", any_(vault.ErrOpenFolder), "", `chmod 700 it, and think about who may have written there`},
	{"no_room", any_(reseal.ErrNoRoom), "too many messages are stored on this device", "open some, or wait until they expire: what is new waits at the server"},
	{"book_full", any_(reseal.ErrBookFull), "the contact book is full", "your other devices do not learn of this change"},
	{"strangers", any_(reseal.ErrStrangers), "too many messages of strangers", `"reseal contacts accept HANDLE" or "contacts block HANDLE" makes room: what is new waits at the server`},
	{"no_stranger", any_(reseal.ErrNoStranger), "that account is a contact, not a stranger", `"reseal contacts block HANDLE" stops everything with it`},
	{"server_full", any_(reseal.ErrServerFull), "the server takes nothing more now", "try again later"},
	{"uncertain", any_(reseal.ErrUncertain), "it is not known whether the change happened", "log in to see: where a password was changed, exactly one of the two works"},
	{"closed", any_(reseal.ErrClosed), "the account was closed meanwhile", "repeat the command"},
	{"last_device", any_(reseal.ErrLastDevice), "the account's only device cannot be removed", "log in on another device first"},
	{"unknown_device", any_(reseal.ErrUnknownDevice), "no device has this id", `"reseal devices" lists them`},
	{"setting", any_(reseal.ErrSettingName), "", "a setting needs another name"},
	{"unknown_session", any_(errSession), "no login of the account has this id", `"reseal devices" lists them`},
	{"reset_code", any_(reseal.ErrResetCode), "not the code of a reset that is announced", "check the code and the handle; a device may have cancelled it: ask the server's operator"},
	{"no_reset", any_(reseal.ErrNoReset), "this device has not asked for a reset, or it was cancelled", `"reseal devices" shows what is announced; "reseal reset HANDLE" asks`},
	{"not_due", typed[*reseal.NotDueError](nil), "", "run it again when it is due; every device of the account can cancel it until then"},
	{"mismatch", any_(errNumber), "", "compare again; if they differ, somebody is in between: do not trust this contact"},
	{"certificate", any_(certs.ErrCertificate), "", "--tls-cert is a chain in PEM, its own certificate first, --tls-key its key"},
	{"no_server", any_(errNoAdmin), "", `--data or RESEAL_DATA says which folder; "reseal serve" starts one`},
	{"unknown_invite", any_(errNoInvite), "", `"reseal admin invites" lists them`},
	{"invite_used", any_(errInviteUsed), "", `"reseal admin accounts" shows how many accounts there are`},
	{"backup_exists", any_(errBackupThere), "", "give a folder that is not there yet"},
	{"backup_runs", any_(errBackupRuns), "", "wait until it is done; one at a time"},
	{"backup_inside", any_(errBackupInside), "", "give a folder elsewhere, best on another disk"},
	{"backup_unfinished", any_(backup.ErrUnfinished), "", "take another copy; this one can be deleted"},
	{"backup_full", any_(errBackupFull), "", "make room there, or give a folder on another disk; the server goes on"},
	{"no_account", any_(errNoAccount), "", "check the handle"},
	{"exists", any_(errExists, fs.ErrExist), "", "choose another name, or --force to replace it"},
	{"no_file", any_(fs.ErrNotExist, errNotFile), "", "check the name"},
	{"permission", any_(fs.ErrPermission), "", "check who owns the file and its folder"},
	{"checks", any_(errChecks), "", "each failed check says what to do"},
	{"data_busy", any_(store.ErrBusy), "another server uses this data folder", "end it, or give another --data"},
	{"data_damaged", any_(store.ErrDamaged, store.ErrKind), "", "restore the data folder from a backup; \"reseal serve --check\" reads all of it"},
	{"data_full", any_(store.ErrFull), "too little space left on the data folder's disk", "make room: at least 256 MiB must be free"},
	{"data_failed", any_(store.ErrFailed), "", "check the disk, then start again: nothing acknowledged is lost"},
	{"full", any_(reseal.ErrFull, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG), "the disk is full", "make room, or raise the limit that is in the way, and repeat: what was stored before is intact"},
	{"key_file", any_(server.ErrKeyMissing, server.ErrKeyOther, server.ErrKeyDamaged, server.ErrKeyOpen), "", "without the right key file no account can log in: --key says where it is"},
	{"listen", any_(syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, syscall.EACCES), "", "another process may use the address: --listen and --metrics take others; port 0 picks one"},
	{"failed", func(error) bool { return true }, "", `"reseal doctor" looks for what is wrong here`},
}

func kindOf(err error) kind {
	for _, k := range kinds {
		if k.is(err) {
			return k
		}
	}
	return kinds[len(kinds)-1]
}

// fail tells about an error and returns the exit code.
func (c *cli) fail(err error) int {
	k, text, hint := c.explain(err)
	if c.json {
		// It may be the very pipe that broke.
		_ = c.object(struct {
			Error   string `json:"error"`
			Message string `json:"message"`
			Hint    string `json:"hint"`
		}{k.code, text, hint})
	}
	_, _ = fmt.Fprintf(c.stderr, "reseal: %s\n", text)
	if hint != "" {
		c.notef("hint: %s", hint)
	}
	if k.code == "usage" {
		return exitUsage
	}
	return exitFailed
}

func (c *cli) explain(err error) (k kind, text, hint string) {
	k = kindOf(err)
	text, hint = k.message, k.hint
	if text == "" {
		text = plain(err)
	}
	var weak *password.Weak
	var usage *usageError
	switch {
	case errors.As(err, &usage) && usage.hint != "":
		hint = usage.hint
	case errors.As(err, &weak):
		text, hint = "the password is too easy to guess: "+weak.Reason, strings.Join(weak.Suggestions, " ")
	case k.code == "offline":
		if who, ok := errors.AsType[*reseal.AccountError](err); ok {
			text += " for " + who.Handle
		} else {
			text += " at " + c.server
		}
	}
	return k, text, hint
}

// plain is an error's text without the packages' names in it.
func plain(err error) string {
	text := err.Error()
	for _, p := range []string{"reseal: ", "vault: ", "client: ", "identity: ", "capsule: ", "book: ", "backup: ", "server: ", "certs: ", "store: ", "password: ", "handover: ", "seal: ", "link: "} {
		text = strings.ReplaceAll(text, p, "")
	}
	// One package's word for an error is often the other's as well.
	for head, rest, more := strings.Cut(text, ": "); more && strings.HasPrefix(rest, head+": "); head, rest, more = strings.Cut(text, ": ") {
		text = rest
	}
	// Some of it may be a server's words, and terminals obey some characters.
	return terminal.Line(strings.ReplaceAll(text, "\n", "; "))
}
