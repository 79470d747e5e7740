package reseal

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reseal/reseal/client/vault"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/secretmem"
)

// DefaultServer is the server where Options names none.
const DefaultServer = "http://127.0.0.1:8470"

// Options configure an installation. The zero value is usable.
type Options struct {
	// Server is the URL of the server for SignUp and LogIn. Accounts that are
	// logged in stay with the server that they logged in at.
	Server string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Rand gives ids, nonces and keys; nil is crypto/rand.
	Rand io.Reader
	// Log gets what a developer wants to see; never a handle, a key or a
	// content. Nil is silent.
	Log *slog.Logger
	// HTTP carries everything: blobs, and the connection, which begins as a
	// request that is upgraded. Its Transport is where a proxy or the roots of
	// a private authority are set. It follows no redirect, and its Timeout would
	// end long transfers; nil is a client of its own, with TLS 1.3 only.
	HTTP *http.Client
	// PlainHTTP allows http URLs of other machines. Everybody on the way reads
	// who talks to whom and when, and the token of the session with which he
	// acts as this device at the server; contents stay sealed. Http to this
	// machine needs no leave.
	PlainHTTP bool
	// Keyring keeps what opens the session records, outside the folder: package
	// client/keyring has the system's. Nil is none; the records are files of mode
	// 0600. One that takes nothing is as none, and one that has lost something
	// costs a login.
	Keyring Keyring
}

// Keyring keeps small secrets for this user.
type Keyring = vault.Keyring

// Installation is one client on one machine: one folder with one client
// database.
type Installation struct {
	o     Options
	vault *vault.Vault
	files string

	mu       sync.Mutex
	accounts map[identity.AccountID]*Account
	ending   map[*Account]chan struct{} // closed once the session record is gone
	closed   bool
}

// Open takes the folder for this process, and makes it if need be. Errors:
// ErrBusy, ErrDamaged, ErrNewer, or of the file system.
func Open(dir string, o Options) (*Installation, error) {
	if o.Server == "" {
		o.Server = DefaultServer
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.HTTP == nil {
		tr := http.DefaultTransport.(*http.Transport).Clone()
		tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
		o.HTTP = &http.Client{Transport: tr}
	}
	v, err := vault.Open(dir, vault.Options{Rand: o.Rand, Keyring: o.Keyring})
	if err != nil {
		return nil, vaultError(err)
	}
	in := &Installation{o: o, vault: v, files: filepath.Join(v.Dir(), filesName), accounts: map[identity.AccountID]*Account{}, ending: map[*Account]chan struct{}{}}
	if err := os.MkdirAll(in.files, 0o700); err != nil {
		_ = v.Close()
		return nil, err
	}
	v.Stamp(filesName)
	return in, nil
}

// filesName is the folder for ciphertexts below that of the vault.
const filesName = "files"

// Dir is the installation's folder.
func (in *Installation) Dir() string { return in.vault.Dir() }

// Close wipes the keys of all accounts and gives the folder up. Accounts stay
// logged in: Resume brings them back.
func (in *Installation) Close() error {
	in.mu.Lock()
	in.closed = true
	accounts := in.accounts
	in.accounts = map[identity.AccountID]*Account{}
	in.mu.Unlock()
	for _, a := range accounts {
		a.stop()
	}
	in.awaitEndings(context.Background(), func(*Account) bool { return true })
	in.o.HTTP.CloseIdleConnections()
	in.vault.Stamp(filesName)
	return in.vault.Close()
}

// Accounts are the accounts that are open in this process, by handle.
func (in *Installation) Accounts() []*Account {
	in.mu.Lock()
	defer in.mu.Unlock()
	var all []*Account
	for _, a := range in.accounts {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *Account) int { return strings.Compare(a.Handle(), b.Handle()) })
	return all
}

// Account finds an open account by its handle.
func (in *Installation) Account(handle string) (*Account, bool) {
	for _, a := range in.Accounts() {
		if a.Handle() == handle {
			return a, true
		}
	}
	return nil, false
}

// LoggedIn is an account that is logged in at an installation, whether or not
// it can be opened now.
type LoggedIn struct {
	Handle  string
	Account identity.AccountID
	Device  identity.DeviceID
	Server  string
	// InKeyring tells that the keyring keeps what opens the session record; else
	// the record is a file of mode 0600.
	InKeyring bool
}

// LoggedIn lists the accounts that are logged in here. It needs no server.
func (in *Installation) LoggedIn() ([]LoggedIn, error) {
	sessions, err := in.vault.Sessions()
	var all []LoggedIn
	for _, s := range sessions {
		all = append(all, LoggedIn{s.Handle, s.Account, s.Device, s.Server, s.Kept})
	}
	return all, vaultError(err)
}

// Ended is why a login that was here is no more, where its server has ended it:
// ErrSessionEnded, with ErrRemoved as well where the device was removed. It is
// nil again after the next login, sign-up or logout. It tells neither which
// account it was nor when: that would outlast the login in the folder.
func (in *Installation) Ended() error {
	switch in.vault.Ended() {
	case vault.EndNone:
		return nil
	case vault.EndRemoved:
		return fmt.Errorf("%w: %w", ErrSessionEnded, ErrRemoved)
	}
	return ErrSessionEnded
}

// noteEnd keeps why a session was ended, nil for nothing. It is for people's
// sake: where it cannot be kept, nothing else changes.
func (in *Installation) noteEnd(why error) {
	end := vault.EndNone
	switch {
	case errors.Is(why, ErrRemoved):
		end = vault.EndRemoved
	case why != nil:
		end = vault.EndSession
	}
	if err := in.vault.NoteEnd(end); err != nil {
		in.o.Log.Warn("reseal: the end of a session could not be noted", "error", err)
	}
}

// Forget ends the login of an account that cannot be opened (no server is
// there, say): its session record goes. The section stays as it is, sealed
// under both its shares, and the next login here finds it.
func (in *Installation) Forget(handle string) error {
	in.noteEnd(nil)
	sessions, err := in.vault.Sessions()
	for _, s := range sessions {
		if s.Handle == handle {
			return vaultError(in.vault.RemoveSession(s.Account))
		}
	}
	if err != nil {
		return vaultError(err)
	}
	return ErrNotLoggedIn
}

// AccountError is what keeps one account of an installation from opening.
type AccountError struct {
	Handle string
	Err    error
}

func (e *AccountError) Error() string { return fmt.Sprintf("reseal: %s: %v", e.Handle, e.Err) }

// Unwrap is the reason.
func (e *AccountError) Unwrap() error { return e.Err }

// Resume opens every account that is logged in here, with the server's half of
// its session share. The accounts that could be opened are returned beside an
// error that joins an *AccountError for each other: ErrOffline when its server
// does not answer, ErrOtherServer when another one does (the login stays as it
// is), ErrSessionEnded when its server has ended the session (its record is
// removed then, and Ended tells of it).
func (in *Installation) Resume(ctx context.Context) ([]*Account, error) {
	sessions, err := in.vault.Sessions()
	errs := []error{vaultError(err)}
	var all []*Account
	for _, s := range sessions {
		if a, ok := in.open(s.Account); ok {
			all = append(all, a)
			continue
		}
		var a *Account
		secretmem.Do(func() { a, err = in.resume(ctx, s) })
		if err != nil {
			errs = append(errs, &AccountError{s.Handle, err})
			continue
		}
		all = append(all, a)
	}
	return all, errors.Join(errs...)
}

func (in *Installation) open(id identity.AccountID) (*Account, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	a, ok := in.accounts[id]
	return a, ok
}

// add makes an account the one of this installation, unless it is open already.
func (in *Installation) add(a *Account) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return ErrClosed
	}
	in.accounts[a.ID()] = a
	return nil
}

func (in *Installation) remove(a *Account) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.accounts[a.ID()] == a {
		delete(in.accounts, a.ID())
	}
}

// end takes an account whose session is over out of those that are open, and
// wipes it in the background: the caller may be part of what stop waits for.
func (in *Installation) end(a *Account, why error) {
	done := make(chan struct{})
	in.mu.Lock()
	in.ending[a] = done
	in.mu.Unlock()
	in.remove(a)
	go func() {
		a.stop()
		in.noteEnd(why)
		_ = in.vault.RemoveSession(a.id)
		secretmem.Soon()
		in.mu.Lock()
		delete(in.ending, a)
		in.mu.Unlock()
		close(done)
	}()
}

// awaitEndings waits until the accounts that are being wiped, as far as the
// caller means them, are gone.
func (in *Installation) awaitEndings(ctx context.Context, mean func(*Account) bool) {
	in.mu.Lock()
	var all []chan struct{}
	for a, done := range in.ending {
		if mean(a) {
			all = append(all, done)
		}
	}
	in.mu.Unlock()
	for _, done := range all {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

func (in *Installation) now() identity.Time { return identity.TimeOf(in.o.Now()) }
