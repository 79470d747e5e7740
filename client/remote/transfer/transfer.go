package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reseal/reseal/api/blobs"
)

var (
	// ErrNotReseal: whoever answered does not speak this protocol: a wrong
	// address, or a network that wants a login of its own.
	ErrNotReseal = errors.New("transfer: the answer is not from a reseal server")
	// ErrSource: the source of an upload cannot be read. It wraps the cause.
	ErrSource = errors.New("transfer: source cannot be read")
	// ErrDestination: what was downloaded cannot be written. It wraps the cause.
	ErrDestination = errors.New("transfer: destination cannot be written")
	// ErrAltered: the server has other bytes than the sender uploaded. It wraps
	// what the verifier said.
	ErrAltered = errors.New("transfer: blob is not what was sent")
	// ErrStalled: no byte moved for too long. It is waited out, and so shows in
	// Waiting only.
	ErrStalled = errors.New("transfer: connection stands still")
)

// Error is a refusal by the server.
type Error struct {
	Code  blobs.Code
	After time.Duration // when to come back, if the server said so
	Limit string        // what is used up, in the server's words; may be empty
}

func (e *Error) Error() string {
	return "transfer: refused: " + string(e.Code) + ": " + e.Code.Message()
}

// Is makes errors.Is(err, &Error{Code: c}) ask for the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Capability is what lets a client read a blob: 32 bytes derived from the
// content key. It prints as "hidden".
type Capability [32]byte

const hidden = "hidden"

// String is "hidden".
func (Capability) String() string { return hidden }

// GoString is "hidden".
func (Capability) GoString() string { return hidden }

// Format writes "hidden" for every verb.
func (Capability) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// LogValue is "hidden".
func (Capability) LogValue() slog.Value { return slog.StringValue(hidden) }

func (c Capability) hash() string {
	sum := sha256.Sum256(c[:])
	return blobs.EncodeBytes(sum[:])
}

// Defaults of [Remote].
const (
	DefaultStall = time.Minute
	DefaultPause = 500 * time.Millisecond
	maxPause     = 30 * time.Second
)

// Remote is a server to transfer blobs with. Base is needed, and Authorize for
// uploads. Safe for concurrent use.
type Remote struct {
	// HTTP makes the requests; default http.DefaultClient. Redirects are not
	// followed: a capability goes to the server that it is for.
	HTTP *http.Client
	// Base is the server's address without a slash at its end:
	// "https://example.org".
	Base string
	// Authorize sets the session's Authorization header. Its error ends the
	// transfer.
	Authorize func(http.Header) error
	// Waiting is told before each pause what went wrong and how long it will
	// be. It may be called from several goroutines. Default: nobody is told.
	Waiting func(err error, pause time.Duration)
	// Stall is how long no byte need move; default DefaultStall.
	Stall time.Duration
	// Pause is the most that the first pause may be; each is up to twice as
	// long as the one before, at most 30 s. Default DefaultPause.
	Pause time.Duration
}

func (r *Remote) stall() time.Duration {
	if r.Stall > 0 {
		return r.Stall
	}
	return DefaultStall
}

// request is one HTTP request.
type request struct {
	method, path string
	header       http.Header
	body         func() io.Reader // nil for none
	length       int64            // of the body
}

// answer is an HTTP answer whose body must be closed. Reading it and reading
// the request's body keeps the request alive; standing still ends it.
type answer struct {
	*http.Response
	watch *watch
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.Body.Read(p)
	if n > 0 {
		a.watch.moved()
	}
	return n, a.watch.name(err)
}

func (a *answer) Close() error {
	a.watch.end()
	return a.Body.Close()
}

// watch cancels a request when nothing has moved for a while.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

func newWatch(ctx context.Context, limit time.Duration) *watch {
	ctx, cancel := context.WithCancelCause(ctx)
	return &watch{ctx, cancel, time.AfterFunc(limit, func() { cancel(ErrStalled) }), limit}
}

func (w *watch) moved() { w.timer.Reset(w.limit) }

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// name gives an error its cause where we cancelled.
func (w *watch) name(err error) error {
	if err != nil && err != io.EOF && errors.Is(context.Cause(w.ctx), ErrStalled) {
		return ErrStalled
	}
	return err
}

type watched struct {
	io.Reader
	watch *watch
}

func (r watched) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.watch.moved()
	}
	return n, err
}

// do sends q and returns an answer with a status below 300; others are *Error,
// ErrNotReseal, or an error of the network.
func (r *Remote) do(ctx context.Context, q request) (*answer, error) {
	w := newWatch(ctx, r.stall())
	a, err := r.send(w, q)
	if err != nil {
		w.end()
		return nil, err
	}
	return a, nil
}

func (r *Remote) send(w *watch, q request) (*answer, error) {
	req, err := http.NewRequestWithContext(w.ctx, q.method, r.Base+q.path, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReseal, err)
	}
	req.Header = q.header
	if q.body != nil {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(watched{q.body(), w}), nil }
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
		req.ContentLength = q.length
	}
	resp, err := r.client().Do(req)
	if err != nil {
		return nil, w.name(err)
	}
	a := &answer{resp, w}
	if resp.StatusCode < 300 {
		return a, nil
	}
	defer resp.Body.Close() // we have read what we want of it
	return nil, refusal(a)
}

func (r *Remote) client() *http.Client {
	c := http.Client{}
	if r.HTTP != nil {
		c = *r.HTTP
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// gateway is an answer by something between us and the server.
type gateway int

func (g gateway) Error() string { return "transfer: status " + strconv.Itoa(int(g)) + " on the way" }

func refusal(a *answer) error {
	b, err := io.ReadAll(io.LimitReader(a, blobs.MaxBody))
	e, ok := parseRefusal(a.StatusCode, b)
	if err != nil || !ok {
		if a.StatusCode >= 500 {
			return gateway(a.StatusCode)
		}
		return fmt.Errorf("%w: status %d", ErrNotReseal, a.StatusCode)
	}
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err == nil && n >= 0 {
		e.After = min(time.Duration(n)*time.Second, time.Hour)
	}
	return e
}

// parseRefusal takes the body of an answer with a status of 400 or more.
func parseRefusal(status int, b []byte) (*Error, bool) {
	var body blobs.Refusal
	if json.Unmarshal(b, &body) != nil || body.Error.Status() != status {
		return nil, false
	}
	return &Error{Code: body.Error, Limit: body.Limit}, true
}

// parseStatus takes the body of a status.
func parseStatus(b []byte) (st blobs.Status, err error) {
	if json.Unmarshal(b, &st) != nil || st.PartSize != blobs.PartSize {
		return blobs.Status{}, ErrNotReseal
	}
	return st, nil
}

// readStatus reads the JSON answer of an upload's call.
func readStatus(a *answer) (st blobs.Status, err error) {
	defer a.Close() // read to its end or of no use
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		return st, ErrNotReseal
	}
	b, err := io.ReadAll(io.LimitReader(a, blobs.MaxBody))
	if err != nil {
		return st, err
	}
	return parseStatus(b)
}
