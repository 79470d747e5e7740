//go:build !windows && (!unix || aix || solaris)

package secretmem

import "errors"

func newPage() ([]byte, Kind, error) { return nil, "", errors.ErrUnsupported }
