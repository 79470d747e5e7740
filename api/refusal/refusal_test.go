package refusal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

func TestEveryReasonHasACode(t *testing.T) {
	for n, name := range resealv1.Reason_name {
		if _, ok := codes[resealv1.Reason(n)]; !ok && n != 0 {
			t.Errorf("%s has no connect code", name)
		}
	}
}

func TestReasonSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("outer: %w", Rate("logins", 3*time.Second))
	if Reason(err) != resealv1.Reason_REASON_RATE || Detail(err).RetryAfterMs != 3000 || Detail(err).Limit != "logins" {
		t.Errorf("got %v", Detail(err))
	}
	if Reason(errors.New("other")) != resealv1.Reason_REASON_UNSPECIFIED {
		t.Error("an error of another kind has a reason")
	}
}

func TestPassing(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{New(resealv1.Reason_REASON_UNAVAILABLE), true},
		{Rate("calls", time.Second), true},
		{New(resealv1.Reason_REASON_DRAINING), true},
		{New(resealv1.Reason_REASON_CONFLICT), false}, // aborted, but definite
		{Malformed("handle"), false},
		{connect.NewError(connect.CodeUnavailable, "no connection"), true},
		{context.DeadlineExceeded, true},
		{connect.NewError(connect.CodeNotFound, "no such page"), false},
	} {
		if got := Passing(c.err); got != c.want {
			t.Errorf("Passing(%v) = %v", c.err, got)
		}
	}
}
