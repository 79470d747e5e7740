package pebble

import (
	"fmt"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// A damaged table is named as the file that lies in the folder.
func TestNameOfADamagedTable(t *testing.T) {
	corrupt := func(text string) error { return fmt.Errorf("%s: %w", text, pebble.ErrCorruption) }
	for _, c := range []struct {
		err  error
		want string
	}{
		{corrupt("pebble: file 000009: block 19450/646: crc32c checksum mismatch b187c63c != ca06cc0f"), "000009.sst"},
		{corrupt("pebble: something else"), "pebble: something else: " + pebble.ErrCorruption.Error()},
		{io.ErrUnexpectedEOF, "a table file (.sst) that is cut short"},
	} {
		if got := nameOf(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
