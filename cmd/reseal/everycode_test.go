package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

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

// everyCode has an error of each code, as it comes to the command.
var everyCode = map[string]error{
	"usage": usagef("", "--x: no such number"), "interrupted": context.Canceled, "login_failed": reseal.ErrLogin,
	"untrusted": &tls.CertificateVerificationError{Err: errors.New("x509: unknown")}, "not_reseal": reseal.ErrNotReseal,
	"wrong_server": reseal.ErrOtherServer, "plain_http": reseal.ErrPlainHTTP, "owner_gone": handover.ErrOwnerGone, "offline": reseal.ErrOffline,
	"timeout": os.ErrDeadlineExceeded, "server": fmt.Errorf("%w: device list", reseal.ErrServer), "removed": reseal.ErrRemoved,
	"session_ended": reseal.ErrSessionEnded, "session_record": reseal.ErrSessionRecord, "not_logged_in": reseal.ErrNotLoggedIn,
	"logged_in": reseal.ErrLoggedIn, "handle_taken": reseal.ErrHandleTaken, "handle": reseal.ErrHandle,
	"weak_password": &password.Weak{Reason: "it is a date or a number", Suggestions: []string{"Use words."}}, "password": password.Err,
	"no_terminal": terminal.ErrAnswer, "signup_closed": reseal.ErrSignupClosed, "invite": reseal.ErrInvite,
	"unknown_account": &reseal.UnknownAccountError{Handle: "ben"}, "renamed": &reseal.RenamedError{Handle: "ben"},
	"recovery_code": reseal.ErrRecoveryCode, "recovery_copy": reseal.ErrCopy, "same_password": reseal.ErrSamePassword,
	"unknown_message": reseal.ErrUnknownMessage, "ambiguous": reseal.ErrAmbiguous, "waiting": reseal.ErrWaiting, "update": reseal.ErrUpdate,
	"claimed": reseal.ErrClaimed, "not_at_server": reseal.ErrNotAtServer, "viewed": &reseal.EndedError{State: message.StateViewed},
	"expired": &reseal.EndedError{State: message.StateExpired}, "unsent": &reseal.EndedError{State: message.StateUnsent},
	"held": reseal.ErrHeld, "blocked": reseal.ErrBlocked, "alarm": reseal.ErrAlarm, "key_changed": reseal.ErrKeyChanged,
	"altered": reseal.ErrAltered, "not_shown": reseal.ErrNotShown, "gone": reseal.ErrGone, "cut_off": reseal.ErrCutOff, "too_large": reseal.ErrTooLarge,
	"quota": &reseal.QuotaError{}, "rate": &reseal.RateError{}, "clock": reseal.ErrClock, "other_server": errOwnerServer, "busy": reseal.ErrBusy,
	"other_user": handover.ErrPeer, "version": handover.ErrProtocol, "newer": reseal.ErrNewer, "damaged": reseal.ErrDamaged,
	"open_folder": vault.ErrOpenFolder, "no_room": reseal.ErrNoRoom, "book_full": reseal.ErrBookFull, "strangers": reseal.ErrStrangers,
	"no_stranger": reseal.ErrNoStranger, "server_full": reseal.ErrServerFull, "uncertain": reseal.ErrUncertain, "closed": reseal.ErrClosed,
	"last_device": reseal.ErrLastDevice, "unknown_device": reseal.ErrUnknownDevice, "setting": reseal.ErrSettingName,
	"unknown_session": errSession, "reset_code": reseal.ErrResetCode, "no_reset": reseal.ErrNoReset, "not_due": &reseal.NotDueError{},
	"mismatch": errNumber, "certificate": certs.ErrCertificate, "no_server": errNoAdmin, "unknown_invite": errNoInvite,
	"invite_used": errInviteUsed, "backup_exists": errBackupThere, "backup_runs": errBackupRuns, "backup_inside": errBackupInside,
	"backup_unfinished": backup.ErrUnfinished, "backup_full": errBackupFull, "no_account": errNoAccount, "exists": errExists,
	"no_file": fs.ErrNotExist, "permission": fs.ErrPermission, "checks": errChecks, "data_busy": store.ErrBusy, "data_damaged": store.ErrDamaged,
	"data_full": store.ErrFull, "data_failed": store.ErrFailed, "full": reseal.ErrFull, "key_file": server.ErrKeyMissing,
	"listen": syscall.EADDRINUSE, "failed": errors.New("something else"),
}

// Every code of the closed list comes out of its error, with a sentence for
// people that names no package, and a way out; the same for scripts.
func TestEveryCodeHasAWayOut(t *testing.T) {
	for _, k := range kinds {
		err, ok := everyCode[k.code]
		if !ok {
			t.Errorf("%s is new: give it an error here", k.code)
			continue
		}
		s := newSurroundings(t, nil)
		exit := (&cli{env: &s.env, server: "http://s", json: true}).fail(fmt.Errorf("around: %w", err))
		if want := map[bool]int{true: exitUsage, false: exitFailed}[k.code == "usage"]; exit != want {
			t.Errorf("%s: exit code %d, want %d", k.code, exit, want)
		}
		var o struct{ Error, Message, Hint string }
		if err := json.Unmarshal(s.out.Bytes(), &o); err != nil || o.Error != k.code {
			t.Errorf("%s: %q %v", k.code, &s.out, err)
		}
		told := s.err.String()
		if strings.TrimSpace(o.Message) == "" || !strings.HasPrefix(told, "reseal: "+o.Message+"\n") {
			t.Errorf("%s: people are told %q, scripts %q", k.code, told, o.Message)
		}
		if o.Hint == "" || !strings.Contains(told, "hint: "+o.Hint) {
			t.Errorf("%s has no way out: %q", k.code, told)
		}
		for _, p := range []string{"reseal: ", "client: ", "vault: ", "identity: ", "server: ", "store: ", "password: ", "handover: ", "backup: "} {
			if strings.Contains(o.Message, p) {
				t.Errorf("%s names a package: %q", k.code, o.Message)
			}
		}
	}
	if len(everyCode) != len(kinds) {
		t.Errorf("%d errors for %d codes", len(everyCode), len(kinds))
	}
}
