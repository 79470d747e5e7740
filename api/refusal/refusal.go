// Package refusal is how a server says no: a connect error that carries one
// reason of the API's closed list (reseal.v1.Reason) as its detail.
//
// The connect code beside the reason only tells whether a repeat can help:
// unavailable and resource_exhausted can be repeated later, everything else is
// definite. Messages are for logs and people who read traffic; they hold no
// handle, no id and no secret.
package refusal

import (
	"context"
	"errors"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// Codes of the reasons.
var codes = map[resealv1.Reason]connect.Code{
	resealv1.Reason_REASON_MALFORMED:       connect.CodeInvalidArgument,
	resealv1.Reason_REASON_LOGIN_FAILED:    connect.CodePermissionDenied,
	resealv1.Reason_REASON_SESSION_ENDED:   connect.CodeUnauthenticated,
	resealv1.Reason_REASON_NO_DEVICE:       connect.CodeFailedPrecondition,
	resealv1.Reason_REASON_HANDLE_TAKEN:    connect.CodeAlreadyExists,
	resealv1.Reason_REASON_UNKNOWN_ACCOUNT: connect.CodeNotFound,
	resealv1.Reason_REASON_CONFLICT:        connect.CodeAborted,
	resealv1.Reason_REASON_UNKNOWN_MESSAGE: connect.CodeNotFound,
	resealv1.Reason_REASON_MESSAGE_ENDED:   connect.CodeFailedPrecondition,
	resealv1.Reason_REASON_CLAIMED:         connect.CodeFailedPrecondition,
	resealv1.Reason_REASON_UNKNOWN_BLOB:    connect.CodeNotFound,
	resealv1.Reason_REASON_LIMIT:           connect.CodeOutOfRange,
	resealv1.Reason_REASON_RATE:            connect.CodeResourceExhausted,
	resealv1.Reason_REASON_CLOCK:           connect.CodeFailedPrecondition,
	resealv1.Reason_REASON_UNAVAILABLE:     connect.CodeUnavailable,
	resealv1.Reason_REASON_UNKNOWN_SHARE:   connect.CodeFailedPrecondition,
	resealv1.Reason_REASON_PROOF:           connect.CodePermissionDenied,
	resealv1.Reason_REASON_DRAINING:        connect.CodeUnavailable,
	resealv1.Reason_REASON_SIGNUP_CLOSED:   connect.CodePermissionDenied,
	resealv1.Reason_REASON_INTERNAL:        connect.CodeInternal,
	resealv1.Reason_REASON_NO_RESET:        connect.CodeFailedPrecondition,
	resealv1.Reason_REASON_NOT_DUE:         connect.CodeFailedPrecondition,
	resealv1.Reason_REASON_INVITE:          connect.CodePermissionDenied,
}

// Name is a reason as logs, metrics and JSON have it: "login_failed".
func Name(r resealv1.Reason) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "REASON_"))
}

// New is a refusal with nothing but a reason.
func New(r resealv1.Reason) error { return With(&resealv1.ErrorDetail{Reason: r}) }

// Malformed refuses a request for the form of one field.
func Malformed(field string) error {
	return With(&resealv1.ErrorDetail{Reason: resealv1.Reason_REASON_MALFORMED, Limit: field})
}

// Limit refuses a request that is over the named limit.
func Limit(name string) error {
	return With(&resealv1.ErrorDetail{Reason: resealv1.Reason_REASON_LIMIT, Limit: name})
}

// Quota refuses what would be more than the named quota allows, and says when
// there is room again by itself.
func Quota(name string, after time.Duration) error {
	return With(&resealv1.ErrorDetail{
		Reason: resealv1.Reason_REASON_LIMIT, Limit: name, RetryAfterMs: uint64(max(after, 0).Milliseconds()),
	})
}

// Rate refuses a call that comes too soon, and says when to come back.
func Rate(name string, after time.Duration) error {
	return With(&resealv1.ErrorDetail{
		Reason: resealv1.Reason_REASON_RATE, Limit: name, RetryAfterMs: uint64(max(after, 0).Milliseconds()),
	})
}

// NotDue refuses what was announced and may not happen yet, and says when.
func NotDue(after time.Duration) error {
	return With(&resealv1.ErrorDetail{Reason: resealv1.Reason_REASON_NOT_DUE, RetryAfterMs: uint64(max(after, 0).Milliseconds())})
}

// Clock refuses a time that is too far from now, and tells now.
func Clock(now time.Time) error {
	return With(&resealv1.ErrorDetail{Reason: resealv1.Reason_REASON_CLOCK, ServerTimeMs: uint64(now.UnixMilli())})
}

// Ended refuses what a message that has ended does not allow any more.
func Ended(end []byte) error {
	return With(&resealv1.ErrorDetail{Reason: resealv1.Reason_REASON_MESSAGE_ENDED, End: end})
}

// With is a refusal with all of its detail.
func With(d *resealv1.ErrorDetail) error {
	code, ok := codes[d.Reason]
	if !ok {
		code = connect.CodeInternal
	}
	text := Name(d.Reason)
	if d.Limit != "" {
		text += ": " + d.Limit
	}
	return attach(connect.NewError(code, text), d)
}

// Detail returns the detail of a refusal; nil where err is none.
func Detail(err error) *resealv1.ErrorDetail {
	var c *connect.Error
	if !errors.As(err, &c) {
		return nil
	}
	return detach(c)
}

// Reason returns why err was refused: unspecified where err is no refusal.
func Reason(err error) resealv1.Reason { return Detail(err).GetReason() }

// Passing tells whether the same call may succeed later: no connection, a full
// or failing store, too many calls, a server that drains.
func Passing(err error) bool {
	if err == nil {
		return false
	}
	switch Reason(err) {
	case resealv1.Reason_REASON_UNAVAILABLE, resealv1.Reason_REASON_RATE, resealv1.Reason_REASON_DRAINING, resealv1.Reason_REASON_INTERNAL:
		return true
	case resealv1.Reason_REASON_UNSPECIFIED:
	default:
		return false
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled, connect.CodeResourceExhausted,
		connect.CodeInternal, connect.CodeUnknown, connect.CodeAborted:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

const detailType = "reseal.v1.ErrorDetail"

func attach(e *connect.Error, d *resealv1.ErrorDetail) error {
	b, err := proto.Marshal(d)
	if err != nil {
		return e
	}
	return e.WithDetail(&connect.ErrorDetail{Type: detailType, Value: b})
}

func detach(e *connect.Error) *resealv1.ErrorDetail {
	for _, d := range e.Details() {
		if d.Type != detailType {
			continue
		}
		detail := new(resealv1.ErrorDetail)
		if proto.Unmarshal(d.Value, detail) == nil {
			return detail
		}
	}
	return nil
}
