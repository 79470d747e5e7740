//go:build darwin || windows

package keyring

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"

	platform "github.com/zalando/go-keyring"

	"github.com/reseal/reseal/client/vault"
)

// systemRing is the login keychain or the Credential Manager.
type systemRing struct{}

func system() (vault.Keyring, string) {
	if runtime.GOOS == "darwin" {
		return systemRing{}, "the login keychain"
	}
	return systemRing{}, "the Credential Manager"
}

func kernel() (vault.Keyring, error) { return nil, ErrNone }

func (systemRing) Set(name string, secret []byte) error {
	return named("set", platform.Set(service, name, base64.StdEncoding.EncodeToString(secret)))
}

func (systemRing) Get(name string) ([]byte, error) {
	text, err := platform.Get(service, name)
	if err != nil {
		return nil, named("get", err)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	return b, named("get", err)
}

func (systemRing) Delete(name string) error {
	if err := platform.Delete(service, name); !errors.Is(err, platform.ErrNotFound) {
		return named("delete", err)
	}
	return nil
}

func named(what string, err error) error {
	if errors.Is(err, platform.ErrNotFound) {
		return vault.ErrNoSecret
	}
	if err != nil {
		return fmt.Errorf("keyring: %s: %w", what, err)
	}
	return nil
}
