package main

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"strings"

	"github.com/reseal/reseal"
	"github.com/reseal/reseal/client/handover"
)

type repeatable uint8

const (
	// unseen: as long as nothing was shown. Without any of these it is not run
	// again, since it may have taken effect.
	unseen repeatable = iota + 1
	// always: it goes on where it was.
	always
	// keyed: it bears a key by which the next owner finds what was done, and
	// shows what it shows in the same words, so that what was shown before can
	// be left out.
	keyed
)

const repeatKey = "repeat"

// The variables by which a keyed command says to the owner what it is.
const (
	keyVar   = "RESEAL_REPEAT_KEY"
	againVar = "RESEAL_REPEAT_AGAIN"
)

// attempt is how often, and how far, a keyed command was run. The same key is
// given to each process that runs it.
type attempt struct {
	key reseal.SendKey
	// again: an owner that ran it is gone.
	again bool
	// shown: results were written then.
	shown bool
	// lost: standard input was read then.
	lost bool
}

func newAttempt() (a attempt, err error) {
	_, err = io.ReadFull(rand.Reader, a.key[:])
	return a, err
}

// attemptOf is what the process that a command was typed in says of it.
func attemptOf(getenv func(string) string) (attempt, error) {
	key, err := hex.DecodeString(getenv(keyVar))
	if err != nil || len(key) != len(reseal.SendKey{}) {
		return newAttempt()
	}
	how := getenv(againVar)
	return attempt{
		key: reseal.SendKey(key), again: how != "", shown: strings.Contains(how, "shown"), lost: strings.Contains(how, "lost"),
	}, nil
}

func (a attempt) vars() []string {
	v := []string{keyVar + "=" + hex.EncodeToString(a.key[:])}
	if !a.again {
		return v
	}
	how := "again"
	if a.shown {
		how += ",shown"
	}
	if a.lost {
		how += ",lost"
	}
	return append(v, againVar+"="+how)
}

// bearKey makes a command one that can be run again.
func (c *cli) bearKey() (err error) {
	if c.owner == nil {
		c.stdout = &once{w: c.stdout}
		c.attempt, err = newAttempt()
		return err
	}
	if c.attempt, err = attemptOf(c.getenv); c.attempt.lost {
		c.stdin = lostInput{}
	}
	return err
}

// mayRepeat tells whether the command may be run again after the process that
// ran it died, and makes it ready for that.
func (c *cli) mayRepeat(gone *handover.GoneError) bool {
	switch {
	case !gone.Started || c.repeat == always:
		return true
	case c.repeat == unseen:
		return !gone.Shown
	case c.repeat != keyed:
		return false
	}
	c.attempt.again = true
	c.attempt.lost = c.attempt.lost || gone.Read
	if c.attempt.lost {
		c.stdin = lostInput{}
	}
	if w, ok := c.stdout.(*once); ok {
		c.attempt.shown = w.shown > 0
		w.at = 0
	}
	return true
}

// lostInput is standard input of which an owner that is gone had read some.
type lostInput struct{}

func (lostInput) Read([]byte) (int, error) { return 0, errOwnerGone }

// once writes what a command shows, whose every run shows the same: what an
// earlier run showed is left out.
type once struct {
	w         io.Writer
	at, shown int64
}

func (o *once) Write(b []byte) (int, error) {
	skip := int(min(int64(len(b)), max(0, o.shown-o.at)))
	n, err := o.w.Write(b[skip:])
	o.at += int64(skip + n)
	o.shown = max(o.shown, o.at)
	return skip + n, err
}
