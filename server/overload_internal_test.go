package server

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// Past the calls that may run at once, further ones are refused by a name, at once,
// and taken again when there is room. Streams are not counted.
func TestShed(t *testing.T) {
	s := &Server{config: Config{MaxCalls: 8}} // 4 of them without a session
	begun, release := make(chan struct{}), make(chan struct{})
	call := s.shed(func(context.Context, connect.Spec, connect.ServerStream) error {
		begun <- struct{}{}
		<-release
		return errors.New("answered")
	})
	unary := connect.Spec{StreamType: connect.StreamTypeUnary}
	done := make(chan error)
	run := func(spec connect.Spec) {
		go func() { done <- call(t.Context(), spec, nil) }()
		<-begun
	}
	for range 4 {
		run(unary)
	}
	err := call(t.Context(), unary, nil)
	if d := refusal.Detail(err); d.GetReason() != resealv1.Reason_REASON_UNAVAILABLE || d.Limit != overload || d.RetryAfterMs != 1000 || !refusal.Passing(err) {
		t.Errorf("the fifth: %v, %v", err, refusal.Detail(err))
	}
	if refused(err) != overload {
		t.Errorf("counted as %q", refused(err))
	}
	run(connect.Spec{StreamType: connect.StreamTypeServer})
	for range 5 {
		release <- struct{}{}
		if err := <-done; err == nil || err.Error() != "answered" {
			t.Error(err)
		}
	}
	run(unary) // there is room again
	release <- struct{}{}
	<-done
	if n := s.calling.Load(); n != 0 {
		t.Errorf("%d calls are counted when none runs", n)
	}
}

// Whoever has a session has twice the room.
func TestRoom(t *testing.T) {
	for _, c := range []struct {
		most    int
		n       int64
		session bool
		want    bool
	}{{8, 4, false, true}, {8, 5, false, false}, {8, 8, true, true}, {8, 9, true, false}, {1, 1, false, true}, {1, 1, true, true}, {1, 2, true, false}} {
		s := &Server{config: Config{MaxCalls: c.most}}
		if s.room(c.n, c.session) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

func TestRefused(t *testing.T) {
	for want, err := range map[string]error{
		"unavailable": refusal.New(resealv1.Reason_REASON_UNAVAILABLE),
		"rate":        refusal.Rate(overload, 1),
		"canceled":    connect.NewError(connect.CodeCanceled, "x"),
	} {
		if got := refused(err); got != want {
			t.Errorf("%v is counted as %q, want %q", err, got, want)
		}
	}
}
