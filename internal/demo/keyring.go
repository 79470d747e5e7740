package demo

import (
	"bytes"
	"crypto/rand"
	"runtime"
	"strings"
	"sync"
)

// keyring collects the secrets that come to be on the people's side, so that
// the server's files can be searched for them.
type keyring struct {
	mu   sync.Mutex
	keys []secret
}

// secret is something that the server must never have.
type secret struct {
	what  string // its kind, as in "content key"
	value []byte
}

// makers are the functions that draw randomness for a secret, as the runtime
// names them, and what it is. Whatever else is drawn (ids, nonces, salts) is
// public.
var makers = map[string]string{
	"identity.NewAccountKey":   "account key",
	"identity.NewDeviceKey":    "device key",
	"identity.NewEpochKey":     "epoch key",
	"identity.NewEpochAuthKey": "epoch auth key",
	"seal.NewCEK":              "content key",
	"message.NewR":             "receipt key",
	"capsule.NewRowKey":        "row key",
	"capsule.NewBookKey":       "book key",
	"capsule.NewShareKey":      "share key",
	"capsule.NewServerShare":   "server share",
	"capsule.NewRecoveryCode":  "recovery code",
	"opaque.NewSessionSecret":  "session secret",
	"vault.(*Section).fresh":   "local share",
}

const modulePath = "github.com/reseal/reseal/"

// Read is the randomness of an installation: crypto/rand, noted where a key is
// made of it. Safe for concurrent use.
func (k *keyring) Read(p []byte) (int, error) {
	n, err := rand.Read(p)
	if what := maker(); what != "" && err == nil {
		k.add(what, p)
	}
	return n, err
}

// maker is the kind of secret that the caller's caller makes, if it does.
func maker() string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if rest, ok := strings.CutPrefix(f.Function, modulePath); ok {
			if what, ok := makers[rest[strings.LastIndexByte(rest, '/')+1:]]; ok {
				return what
			}
		}
		if !more {
			return ""
		}
	}
}

func (k *keyring) add(what string, value []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.keys {
		if s.what == what && bytes.Equal(s.value, value) {
			return
		}
	}
	k.keys = append(k.keys, secret{what, bytes.Clone(value)})
}

func (k *keyring) all() []secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]secret(nil), k.keys...)
}
