package reseal

import (
	"context"
	"io"
)

// progress counts what is read, and stops reading when the context ends.
type progress struct {
	r    io.Reader
	ctx  context.Context
	done func(n int)
}

func (p *progress) Read(b []byte) (int, error) {
	if err := context.Cause(p.ctx); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.done(n)
	return n, err
}
