package reseal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/seal"
)

// Content is an opened message's content.
type Content struct {
	Message   Message
	Name      string
	Type      string
	Caption   string
	Size      uint64
	Thumbnail []byte
	// Text tells that the content is a text message and not a file.
	Text bool
	// Reader gives the content, Size bytes; its io.EOF says that all of it was
	// as the sender made it.
	Reader io.Reader
}

// ErrNotShown is returned by Open when show returned nil without having read
// the content to its end: it counts as not viewed.
var ErrNotShown = errors.New("reseal: the content was not read to its end")

// Open fetches a message's content, verifies all of it, and hands it to show.
// Of a once message it then claims the one view: when show has read everything
// and returned nil, the message is gone everywhere; when it fails, the message
// stays and may be opened again on this device. show must have the content
// where it belongs (durable, if it is a file) before it returns. The stages of
// report, which may be nil, are "download".
//
// Errors: ErrUnknownMessage, ErrWaiting, ErrUpdate, ErrHeld, *EndedError,
// ErrClaimed, ErrNotAtServer, ErrGone, ErrAltered, ErrCutOff, ErrOffline, ErrFull,
// ErrNotShown, and what show returned.
func (a *Account) Open(ctx context.Context, id MessageID, show func(Content) error, report func(stage string, done, total uint64)) error {
	o, err := a.opening(id)
	if err == nil && o.Header.Policy == Once {
		// Two that open it at the same time would both show it, by one claim.
		var over func()
		if over, err = a.viewing.take(ctx, id); err != nil {
			return err
		}
		defer over()
		o, err = a.opening(id)
	}
	if err != nil {
		return err
	}
	src, segs, file, done, err := a.ciphertext(ctx, o, report)
	if errors.Is(err, ErrAltered) && o.Header.Blob.IsZero() {
		src, segs, file, done, err = a.inlineAnew(ctx, id)
	}
	if err != nil {
		return a.unreadable(id, err)
	}
	defer done()
	r, err := segs.NewReader(src, o.CEK, seal.Origin{Kind: uint8(o.Header.Kind), Sender: o.Header.Sender})
	if err != nil {
		return as(ErrAltered, err)
	}
	meta := r.Meta()
	if err := a.step(client.Downloaded{ID: id, File: file, Name: meta.Name, Type: meta.Type, Caption: meta.Caption, Size: meta.Size}); err != nil {
		return err
	}
	defer func() { _ = a.step(client.EndView{ID: id}) }()
	if err := a.grant(ctx, o); err != nil {
		return a.unreadable(id, err)
	}
	m, err := a.Find(ctx, id.String())
	if err != nil {
		return err
	}
	end := &ender{r: r}
	if err := show(Content{
		Message: m, Name: meta.Name, Type: meta.Type, Caption: meta.Caption, Size: meta.Size, Thumbnail: meta.Thumbnail,
		Text: meta.Type == textType, Reader: end,
	}); err != nil {
		return err
	}
	if !end.complete() {
		return ErrNotShown
	}
	return a.step(client.Viewed{ID: id})
}

// unreadable notes where a message cannot be had, for the figures, and returns
// why.
func (a *Account) unreadable(id MessageID, why error) error {
	if errors.Is(why, ErrGone) || errors.Is(why, ErrCutOff) || errors.Is(why, ErrAltered) || errors.Is(why, ErrNotAtServer) {
		a.stepLogged(client.Unreadable{ID: id})
	}
	return why
}

// opening is what it takes to open a message.
func (a *Account) opening(id MessageID) (client.Opening, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return client.Opening{}, ErrClosed
	}
	o, err := a.engine.Opening(a.in.now(), id)
	return o, engineError(err)
}

// ciphertext is the whole, verified ciphertext of a message.
func (a *Account) ciphertext(ctx context.Context, o client.Opening, report func(string, uint64, uint64)) (src io.Reader, segs *seal.Segments, file string, done func(), err error) {
	if o.Header.Blob.IsZero() {
		segs, err := seal.ParseSegments(o.Segments, seal.Digest(o.Header.Digest))
		if err != nil || segs.Length() != o.Header.Length || segs.Verify(bytes.NewReader(o.Inline)) != nil {
			return nil, nil, "", nil, ErrAltered
		}
		return bytes.NewReader(o.Inline), segs, "", func() {}, nil
	}
	f, segs, err := a.fetch(ctx, o, report)
	if err != nil {
		return nil, nil, "", nil, err
	}
	return at(f), segs, filepath.Base(f.Name()), func() { _ = f.Close() }, nil
}

// inlineAnew reads a message again whose ciphertext, which travels with it, did
// not arrive as it was sent.
func (a *Account) inlineAnew(ctx context.Context, id MessageID) (io.Reader, *seal.Segments, string, func(), error) {
	if err := a.remote.first(ctx); err != nil {
		return nil, nil, "", nil, ErrAltered
	}
	if err := a.syncDay(ctx, id.Day()); err != nil {
		return nil, nil, "", nil, a.in.callError(err)
	}
	o, err := a.opening(id)
	if err != nil {
		return nil, nil, "", nil, err
	}
	return a.ciphertext(ctx, o, nil)
}

// grant asks for the view and waits for the answer.
func (a *Account) grant(ctx context.Context, o client.Opening) error {
	id := o.Header.ID
	if o.Header.Policy == Once {
		if err := a.remote.first(ctx); err != nil {
			return a.in.callError(err)
		}
	}
	sub := a.events.subscribe(func(e Event) bool {
		switch e.Kind {
		case KindGranted, KindDenied:
			return e.ID == id
		case KindDisconnected:
			return o.Header.Policy == Once
		}
		return false
	})
	defer a.events.cancel(sub)
	if err := a.step(client.View{ID: id}); err != nil {
		return err
	}
	if o.Header.Policy == Once && !a.Connected() {
		return ErrOffline // the event that tells of it may have come before
	}
	e, ok := sub.next(ctx)
	switch {
	case !ok && a.ctx.Err() != nil:
		return context.Cause(a.ctx)
	case !ok:
		return ended(ctx)
	case e.Kind == KindDisconnected:
		// Should the server have granted it, then to this device, which may
		// ask again; and for two minutes only.
		return ErrOffline
	}
	return e.Err // nil where it was granted
}

// ender notes whether the content was read to its authentic end.
type ender struct {
	r    *seal.Reader
	done bool
}

func (e *ender) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if errors.Is(err, io.EOF) {
		e.done = true
	} else if errors.Is(err, seal.ErrOpen) {
		err = as(ErrAltered, err)
	}
	return n, err
}

// complete reads the end that a consumer of exactly Size bytes did not see.
func (e *ender) complete() bool {
	if !e.done {
		var b [1]byte
		if n, err := e.r.Read(b[:]); n == 0 && errors.Is(err, io.EOF) {
			e.done = true
		}
	}
	return e.done
}
