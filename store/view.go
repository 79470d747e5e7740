package store

import "context"

// Viewer is what engines may have besides, for speed: a Get that copies nothing.
// It keeps what [View] says.
type Viewer interface {
	View(ctx context.Context, p Partition, k Key, f func(Record) error) error
}

// View is a Get for who keeps nothing of the value: f gets the record, and must
// not change its Value, nor use it after it returns. The error is that of Get, and
// then f is not called, or f's.
func View(ctx context.Context, s Store, p Partition, k Key, f func(Record) error) error {
	if v, ok := s.(Viewer); ok {
		return v.View(ctx, p, k, f)
	}
	r, err := s.Get(ctx, p, k)
	if err != nil {
		return err
	}
	return f(r)
}
