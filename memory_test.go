package reseal_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/internal/secretmem"
)

// mask keeps what a process tells about its secrets from being one more copy
// of them.
const mask = 0x5a

// canary is what the process of lifeOfSecrets has in memory until it logs out.
var canary []byte

// lifeOfSecrets is a process that signs up, writes, reads, and logs out. It
// takes lines from its standard input: the server's URL, a password, the handle
// of a peer; then an empty line before each step. It tells its secrets and the
// memory that no other process can read, masked, a line each, and an empty line
// after each step.
func lifeOfSecrets(home string) int {
	if err := live(home, os.Stdin); err != nil {
		fmt.Println("error", err)
		return 1
	}
	return 0
}

func live(home string, in io.Reader) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	url, pass, peer := string(line(in)), line(in), string(line(in))
	i, err := reseal.Open(home, reseal.Options{Server: url})
	if err != nil {
		return err
	}
	a, _, err := i.SignUp(ctx, "ana", pass)
	if err != nil {
		return err
	}
	canary = make([]byte, 32)
	for n := range canary {
		canary[n] = byte(n*n) ^ 0x33
	}
	if err := use(ctx, i, &a, peer, pass); err != nil {
		return err
	}
	// What the test itself looks up is not to be what it finds.
	secretmem.Do(func() { err = reseal.Secrets(ctx, a, pass, tell) })
	if err != nil {
		return err
	}
	tell("canary", canary)
	tell("password", pass)
	if err := tellHidden(tell); err != nil {
		return err
	}
	fmt.Println()
	line(in)
	if _, err := a.LogOut(ctx, reseal.LogOutOptions{}); err != nil {
		return err
	}
	clear(canary)
	clear(pass)
	if err := tellHidden(tell); err != nil {
		return err
	}
	fmt.Println()
	line(in)
	runtime.KeepAlive(i)
	runtime.KeepAlive(a)
	return i.Close()
}

// use logs out and in again, sends, and reads a message.
func use(ctx context.Context, i *reseal.Installation, a **reseal.Account, peer string, pass []byte) (err error) {
	if _, err := (*a).LogOut(ctx, reseal.LogOutOptions{}); err != nil {
		return err
	}
	if *a, _, err = i.LogIn(ctx, "ana", pass); err != nil {
		return err
	}
	if _, err := (*a).Send(ctx, reseal.Outgoing{To: []string{peer}, Text: "hello", Policy: reseal.Keep}); err != nil {
		return err
	}
	for ctx.Err() == nil {
		all, err := (*a).Inbox(ctx, reseal.InboxOptions{})
		if err != nil {
			return err
		}
		if len(all) > 0 && all[0].State == reseal.StateReady {
			return (*a).Open(ctx, all[0].ID, func(c reseal.Content) error {
				_, err := io.Copy(io.Discard, c.Reader)
				return err
			}, nil)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ctx.Err()
}

// line reads byte by byte: a buffer would keep the password.
func line(in io.Reader) []byte {
	all, b := make([]byte, 0, 256), [1]byte{}
	for {
		if n, err := in.Read(b[:]); n == 0 || err != nil || b[0] == '\n' {
			return all
		}
		all = append(all, b[0])
	}
}

// tell writes a name and a secret, masked.
func tell(name string, b []byte) {
	masked := make([]byte, len(b))
	for i := range b {
		masked[i] = b[i] ^ mask
	}
	fmt.Println(hex.EncodeToString(masked), name)
}
