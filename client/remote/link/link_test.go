package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/reseal/reseal/api/mux"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSession is a connection that ends when the test says so.
type fakeSession struct {
	done, away chan struct{}
	once       sync.Once
	err        error
	token      Token
}

func newFake() *fakeSession {
	return &fakeSession{done: make(chan struct{}), away: make(chan struct{})}
}

func (s *fakeSession) end(err error) { s.once.Do(func() { s.err = err; close(s.done) }) }

func (s *fakeSession) NewClientStream(context.Context, connect.Spec) (connect.ClientStream, error) {
	return nil, fmt.Errorf("call with %q", s.token.secret)
}
func (s *fakeSession) Done() <-chan struct{}      { return s.done }
func (s *fakeSession) Err() error                 { return s.err }
func (s *fakeSession) GoingAway() <-chan struct{} { return s.away }
func (s *fakeSession) Welcome() mux.Welcome       { return mux.Welcome{Version: "fake"} }
func (s *fakeSession) Offset() time.Duration      { return 3 * time.Second }
func (s *fakeSession) Close() error               { s.end(mux.ErrClosed); return nil }

// script is a link in a bubble of fake time, and what it did.
type script struct {
	*Link
	start  time.Time
	mu     sync.Mutex
	tries  []time.Duration // since start
	states []State
	answer func(try int) (*fakeSession, error)
}

func play(t *testing.T, o Options, answer func(try int) (*fakeSession, error)) *script {
	t.Helper()
	s := &script{start: time.Now(), answer: answer}
	if o.Rand == nil {
		o.Rand = func() float64 { return 1 }
	}
	o.OnState = func(state State) { s.mu.Lock(); s.states = append(s.states, state); s.mu.Unlock() }
	o.connect = func(ctx context.Context, token Token) (session, error) {
		s.mu.Lock()
		n := len(s.tries)
		s.tries = append(s.tries, time.Since(s.start))
		s.mu.Unlock()
		f, err := s.answer(n)
		if err != nil {
			return nil, err
		}
		f.token = token
		return f, nil
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Link = l
	t.Cleanup(func() { _ = l.Close() })
	return s
}

func (s *script) tried() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tries)
}

func (s *script) kinds() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, st := range s.states {
		out = append(out, st.Kind.String())
	}
	return strings.Join(out, ", ")
}

func never(int) (*fakeSession, error) { return nil, mux.ErrUnreachable }

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, Options{MinBackoff: time.Second, MaxBackoff: 10 * time.Second}, never)
		time.Sleep(46 * time.Second)
		synctest.Wait()
		want := []time.Duration{0, 1, 3, 7, 15, 25, 35, 45}
		for i := range want {
			want[i] *= time.Second
		}
		if got := s.tried(); !slices.Equal(got, want) {
			t.Errorf("tries at %v, want %v", got, want)
		}
		st := s.State()
		if st.Kind != Disconnected || !errors.Is(st.Err, ErrOffline) || st.Retry != 10*time.Second {
			t.Errorf("state = %+v", st)
		}
	})
}

func TestJitterIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draws := []float64{0, 0.5, 0.25}
		s := play(t, Options{MinBackoff: time.Second, Rand: func() float64 {
			if len(draws) == 0 {
				return 1
			}
			d := draws[0]
			draws = draws[1:]
			return d
		}}, never)
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		// 0 of 1 s, half of 2 s, a quarter of 4 s.
		if got := s.tried(); !slices.Equal(got, []time.Duration{0, 0, time.Second, 2 * time.Second}) {
			t.Errorf("tries at %v", got)
		}
	})
}

func TestRetryOnDemandIsImmediateAndStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, Options{MinBackoff: 10 * time.Second, MaxBackoff: time.Hour}, never)
		time.Sleep(31 * time.Second) // tries at 0, 10, 30; the next at 70
		s.Retry()
		synctest.Wait()
		time.Sleep(11 * time.Second) // the wait is 10 s again
		synctest.Wait()
		want := []time.Duration{0, 10 * time.Second, 30 * time.Second, 31 * time.Second, 41 * time.Second}
		if got := s.tried(); !slices.Equal(got, want) {
			t.Errorf("tries at %v, want %v", got, want)
		}
	})
}

// A server that accepts and drops must be met by growing waits, one that was
// there for long by a short one.
func TestOnlyAStableConnectionResetsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := []time.Duration{0, 0, 0, time.Minute}
		s := play(t, Options{MinBackoff: time.Second, Stable: 30 * time.Second}, func(n int) (*fakeSession, error) {
			f := newFake()
			if n < len(lives) {
				time.AfterFunc(lives[n], func() { f.end(mux.ErrLost) })
			}
			return f, nil
		})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		want := []time.Duration{0, 1, 3, 7, 68}
		for i := range want {
			want[i] *= time.Second
		}
		if got := s.tried(); !slices.Equal(got, want) {
			t.Errorf("tries at %v, want %v", got, want)
		}
		if offset, known := s.ServerTime(); offset != 3*time.Second || !known {
			t.Errorf("server time = %v, %v", offset, known)
		}
	})
}

func TestCallsWaitOrFailFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, Options{MinBackoff: time.Second}, func(n int) (*fakeSession, error) {
			if n < 3 {
				return nil, fmt.Errorf("%w: a web page", mux.ErrNotReseal)
			}
			return newFake(), nil
		})
		synctest.Wait()
		_, err := s.NewClientStream(FailFast(t.Context()), connect.Spec{})
		if connect.CodeOf(err) != connect.CodeUnavailable || !errors.Is(err, ErrNotReseal) || time.Since(s.start) != 0 {
			t.Errorf("fail fast = %v after %v", err, time.Since(s.start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err = s.NewClientStream(ctx, connect.Spec{})
		if connect.CodeOf(err) != connect.CodeDeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNotReseal) {
			t.Errorf("wait bounded by its context = %v", err)
		}
		if _, err = s.NewClientStream(t.Context(), connect.Spec{}); err == nil || !strings.Contains(err.Error(), "call with") || time.Since(s.start) != 7*time.Second {
			t.Errorf("patient = %v after %v", err, time.Since(s.start))
		}
		if err := s.Wait(t.Context()); err != nil {
			t.Errorf("Wait = %v", err)
		}
	})
}

func TestSessionEndedRestsUntilANewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := connect.NewError(connect.CodeUnauthenticated, "no such session")
		var good bool
		s := play(t, Options{Token: NewToken("old"), FailFast: false}, func(int) (*fakeSession, error) {
			if good {
				return newFake(), nil
			}
			return nil, refusal
		})
		time.Sleep(time.Hour)
		if n := len(s.tried()); n != 1 || s.State().Kind != SessionEnded {
			t.Errorf("%d tries, %v", n, s.State().Kind)
		}
		_, err := s.NewClientStream(t.Context(), connect.Spec{})
		if connect.CodeOf(err) != connect.CodeUnauthenticated || !errors.Is(err, ErrSessionEnded) || !errors.Is(err, refusal) {
			t.Errorf("call = %v", err)
		}
		good = true
		if err := s.SetToken(NewToken("new")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := s.NewClientStream(t.Context(), connect.Spec{}); err == nil || !strings.Contains(err.Error(), `"new"`) {
			t.Errorf("call with a new token = %v", err)
		}
		// Once more, while connected.
		if err := s.SetToken(NewToken("newer")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.NewClientStream(t.Context(), connect.Spec{}); err == nil || !strings.Contains(err.Error(), `"newer"`) {
			t.Errorf("call with a newer token = %v", err)
		}
		if err := s.SetToken(NewToken("two words")); err == nil {
			t.Error("malformed token taken")
		}
	})
}

func TestGoingAwayMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newFake(), newFake()
		s := play(t, Options{MinBackoff: time.Second}, func(n int) (*fakeSession, error) {
			return []*fakeSession{first, second}[n], nil
		})
		time.Sleep(time.Minute)
		close(first.away)
		if _, err := s.NewClientStream(t.Context(), connect.Spec{}); err == nil {
			t.Error("no call")
		}
		if got := time.Since(s.start); got != time.Minute+time.Second {
			t.Errorf("moved after %v", got)
		}
		synctest.Wait()
		if want := "connecting, connected, server going away, connecting, connected"; s.kinds() != want {
			t.Errorf("states: %s", s.kinds())
		}
		select {
		case <-first.done:
			t.Error("the old connection was closed under its calls")
		default:
		}
		_ = s.Close()
		<-first.done // not forgotten
		<-second.done
		if _, err := s.NewClientStream(t.Context(), connect.Spec{}); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close = %v", err)
		}
	})
}

func TestTokenIsHidden(t *testing.T) {
	token := NewToken("s3cret")
	for _, got := range []string{
		fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %s %q %x %d", token, token, token, token, token, token, token),
		fmt.Sprintf("%+v", Options{Token: token}), fmt.Sprintf("%#v", Options{Token: token}), slog.AnyValue(token).Resolve().String(),
	} {
		if strings.Contains(got, "s3cret") || strings.Contains(got, "733363726574") || !strings.Contains(got, "hidden") {
			t.Errorf("prints as %q", got)
		}
	}
}
