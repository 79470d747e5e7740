package auth_test

import (
	"testing"

	"github.com/reseal/reseal/handle"
)

func must(t testing.TB, h string) handle.Handle {
	t.Helper()
	p, err := handle.Parse(h)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
