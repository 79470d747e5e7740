package reseal

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reseal/reseal/api/blobs"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/remote/transfer"
	"github.com/reseal/reseal/seal"
)

func (a *Account) newTransfer(server string) *transfer.Remote {
	return &transfer.Remote{
		HTTP: a.in.o.HTTP, Base: server,
		Authorize: func(h http.Header) error {
			// While there is a connection, the address leads to the right server.
			if err := a.remote.link.Wait(a.ctx); err != nil {
				return err
			}
			h.Set("Authorization", "Bearer "+a.bearer())
			return nil
		},
		Waiting: func(err error, pause time.Duration) {
			a.log.Info("reseal: a transfer waits", "error", err, "pause", pause)
		},
	}
}

// uploads tells who waits how far an upload is.
type uploads struct {
	mu     sync.Mutex
	report map[string]func(done, total uint64)
}

var reports uploads

func (a *Account) watchUpload(file string, report func(string, uint64, uint64)) func() {
	reports.mu.Lock()
	defer reports.mu.Unlock()
	if reports.report == nil {
		reports.report = map[string]func(done, total uint64){}
	}
	reports.report[file] = func(done, total uint64) { report("upload", done, total) }
	return func() {
		reports.mu.Lock()
		defer reports.mu.Unlock()
		delete(reports.report, file)
	}
}

func (u *uploads) tell(file string, done, total uint64) {
	u.mu.Lock()
	f := u.report[file]
	u.mu.Unlock()
	if f != nil {
		f(done, total)
	}
}

// upload puts a ciphertext file to the server, or resumes it. It waits for the
// server as long as the account lives.
func (a *Account) upload(u client.Upload, answered func()) {
	err := a.put(a.ctx, u)
	if a.ctx.Err() != nil {
		return // resumed when the account is opened again
	}
	ev := client.Uploaded{ID: u.Content}
	if err != nil {
		if errors.Is(err, &transfer.Error{Code: blobs.NoSession}) {
			return
		}
		a.log.Warn("reseal: an upload failed", "error", err)
		ev.Refusal = uploadRefusal(err)
	}
	answered()
	a.stepLogged(ev)
}

// uploadRefusal is what the messages that wait for an upload are told.
func uploadRefusal(err error) *client.Refusal {
	d := &resealv1.ErrorDetail{Reason: resealv1.Reason_REASON_UNKNOWN_BLOB, Limit: err.Error()}
	if errors.Is(err, &transfer.Error{Code: blobs.TooLarge}) || errors.Is(err, &transfer.Error{Code: blobs.Quota}) {
		d.Reason = resealv1.Reason_REASON_LIMIT
	}
	if e, ok := errors.AsType[*transfer.Error](err); ok && e.Code == blobs.Quota && e.Limit != "" {
		d.Limit, d.RetryAfterMs = e.Limit, uint64(e.After.Milliseconds())
	}
	return &client.Refusal{Reason: d.Reason, Detail: d}
}

// put uploads until the server has the blob, or says that it never takes it.
// Whatever else is in the way (the server has no room, this device no file
// handle, the network shows a page of its own) costs time: nothing is lost, and
// what is queued goes when it is over.
func (a *Account) put(ctx context.Context, u client.Upload) error {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := a.putOnce(ctx, u)
		trouble := Event{Kind: KindTrouble, Time: a.in.o.Now(), file: u.File}
		switch {
		case errors.Is(err, &transfer.Error{Code: blobs.StorageFull}):
			// Who waits for it is told, and may take it back.
			trouble.Text, trouble.Err = ErrServerFull.Error(), ErrServerFull
		case err == nil || ctx.Err() != nil || isFinal(err):
			return err
		default:
			a.log.Warn("reseal: an upload waits", "error", err)
			trouble.Text = "an upload waits: " + err.Error()
		}
		a.events.send(trouble)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// isFinal tells whether trying an upload again cannot help: the server refused
// it, or the file is gone or shorter than it was.
func isFinal(err error) bool {
	_, refused := errors.AsType[*transfer.Error](err)
	_, disk := errors.AsType[*fs.PathError](err)
	return refused || errors.Is(err, fs.ErrNotExist) || errors.Is(err, transfer.ErrSource) && !disk
}

func (a *Account) putOnce(ctx context.Context, u client.Upload) error {
	path := filepath.Join(a.in.files, u.File)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	segments, err := os.ReadFile(path + segmentsSuffix)
	if err != nil {
		return err
	}
	return a.blobs.Upload(ctx, transfer.Upload{
		Blob: u.Blob, Capability: transfer.Capability(u.Capability), Source: f, Length: u.Length, Segments: segments,
		Progress: func(done, total uint64) { reports.tell(u.File, done, total) },
	})
}

// fetch brings the whole ciphertext of a message into a file, verified against
// the digest that its wrap authenticated, and returns the file and its segment
// list. A file that is there already is verified and used; one that a crash
// left half is gone on with.
func (a *Account) fetch(ctx context.Context, o client.Opening, report func(string, uint64, uint64)) (*os.File, *seal.Segments, error) {
	name := o.File
	if name == "" {
		name = a.fileKey.incoming(o.Header.ID)
	}
	done, err := a.fetching.take(ctx, o.Header.ID)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	path := filepath.Join(a.in.files, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, diskError(err)
	}
	segs, err := a.fetchTo(ctx, f, path, o, report)
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, segs, nil
}

func (a *Account) fetchTo(ctx context.Context, f *os.File, path string, o client.Opening, report func(string, uint64, uint64)) (*seal.Segments, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if uint64(info.Size()) == o.Header.Length {
		if list, err := os.ReadFile(path + segmentsSuffix); err == nil {
			if segs, err := seal.ParseSegments(list, seal.Digest(o.Header.Digest)); err == nil && segs.Verify(at(f)) == nil {
				return segs, nil
			}
		}
	}
	if err := a.remote.first(ctx); err != nil {
		return nil, a.in.callError(err)
	}
	// Whole transfer segments that are there may be good; what is wrong is
	// found below, and then fetched anew, once.
	from := min(uint64(info.Size()), o.Header.Length) / transfer.SegmentSize * transfer.SegmentSize
	for {
		segs, err := a.download(ctx, f, path, o, from, report)
		if err != nil {
			return nil, err
		}
		if segs.Verify(at(f)) == nil {
			return segs, nil
		}
		if from == 0 {
			return nil, ErrAltered
		}
		from = 0
	}
}

func at(f *os.File) io.Reader { return io.NewSectionReader(f, 0, 1<<62) }

func (a *Account) download(ctx context.Context, f *os.File, path string, o client.Opening, from uint64, report func(string, uint64, uint64)) (*seal.Segments, error) {
	if err := f.Truncate(int64(from)); err != nil {
		return nil, diskError(err)
	}
	v := &verifier{digest: seal.Digest(o.Header.Digest), length: o.Header.Length}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	remote, fails := *a.blobs, 0
	remote.Waiting = func(err error, pause time.Duration) {
		a.blobs.Waiting(err, pause)
		if !a.Connected() {
			return // it goes on when the server is back
		}
		// The server is there and it breaks off each time.
		if fails++; fails >= maxFails {
			cancel(as(ErrCutOff, err))
		}
	}
	_, err := remote.Download(ctx, transfer.Download{
		Blob: o.Header.Blob, Capability: capability(o.CEK), Length: o.Header.Length, Verifier: v, Dst: f, Offset: from,
		Progress: func(done, total uint64) {
			fails = 0
			if report != nil {
				report("download", done, total)
			}
		},
	})
	switch {
	case errors.Is(err, &transfer.Error{Code: "not_found"}):
		return nil, ErrGone
	case errors.Is(err, transfer.ErrAltered):
		return nil, as(ErrAltered, err)
	case err != nil:
		return nil, diskError(a.in.callError(err))
	}
	if v.segs == nil {
		return nil, ErrAltered
	}
	if err := a.writeFile(filepath.Base(path)+segmentsSuffix, v.list); err != nil {
		return nil, err
	}
	return v.segs, diskError(f.Sync())
}

// maxFails is how often in a row a server may break a download off.
const maxFails = 4

// verifier takes the segment list only if it has the digest. The ciphertext is
// verified as a whole before anything of it is used.
type verifier struct {
	digest seal.Digest
	length uint64
	list   []byte
	segs   *seal.Segments
}

func (v *verifier) List(list []byte) error {
	segs, err := seal.ParseSegments(list, v.digest)
	if err != nil {
		return err
	}
	if segs.Length() != v.length {
		return ErrAltered
	}
	v.list, v.segs = append([]byte(nil), list...), segs
	return nil
}

func (v *verifier) Segment(uint64, []byte) error { return nil }
