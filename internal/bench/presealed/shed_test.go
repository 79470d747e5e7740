package presealed

import (
	"testing"
	"time"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// Only a call that was shed is asked again, and when the server wants it.
func TestShed(t *testing.T) {
	err := refusal.With(&resealv1.ErrorDetail{Reason: resealv1.Reason_REASON_UNAVAILABLE, Limit: "overload", RetryAfterMs: 1500})
	if wait, shed := Shed(err); !shed || wait != 1500*time.Millisecond {
		t.Errorf("%v, %v", wait, shed)
	}
	for _, err := range []error{nil, t.Context().Err(), refusal.New(resealv1.Reason_REASON_UNAVAILABLE), refusal.Rate("overload", time.Second)} {
		if _, shed := Shed(err); shed {
			t.Errorf("%v counts as shed", err)
		}
	}
}

// A login that is begun at a handle that nobody has is answered as any other.
func TestKnock(t *testing.T) {
	h := serve(t)
	for range 2 {
		if err := h.Knock(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
