package testworld

import (
	"context"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/identity"
)

// Stream is an open event stream of a device.
type Stream struct {
	T      testing.TB
	Device *Device
	events chan *resealv1.EventsResponse
	end    chan error
	cancel context.CancelFunc
}

// Events opens a stream over the device's client and returns what came before it
// had caught up.
func (d *Device) Events(watch ...identity.AccountID) (*Stream, []*resealv1.EventsResponse) {
	d.W.T.Helper()
	s := d.Open(watch...)
	var backlog []*resealv1.EventsResponse
	for {
		ev := s.Next()
		if ev.GetCaughtUp() != nil {
			return s, backlog
		}
		if ev.GetBookVersion() == 0 {
			backlog = append(backlog, ev)
		}
	}
}

// Open opens a stream.
func (d *Device) Open(watch ...identity.AccountID) *Stream {
	d.W.T.Helper()
	req := new(resealv1.EventsRequest)
	for _, a := range watch {
		req.Watch = append(req.Watch, a[:])
	}
	ctx, cancel := context.WithCancel(context.Background())
	st, err := d.C.Mailbox.Events(ctx, req)
	if err != nil {
		cancel()
		d.W.T.Fatal(err)
	}
	s := &Stream{T: d.W.T, Device: d, events: make(chan *resealv1.EventsResponse, 4096), end: make(chan error, 1), cancel: cancel}
	go func() {
		for {
			ev, err := st.Receive()
			if err != nil {
				_ = st.Close()
				s.end <- err
				return
			}
			s.events <- ev
		}
	}()
	d.W.T.Cleanup(cancel)
	return s
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// Next is the next event.
func (s *Stream) Next() *resealv1.EventsResponse {
	s.T.Helper()
	select {
	case ev := <-s.events:
		return ev
	case err := <-s.end:
		s.T.Fatalf("stream ended: %v", err)
	case <-time.After(patience):
		s.T.Fatal("no event came")
	}
	return nil
}

// Until is the first event that want takes; others are passed over.
func (s *Stream) Until(want func(*resealv1.EventsResponse) bool) *resealv1.EventsResponse {
	s.T.Helper()
	for {
		if ev := s.Next(); want(ev) {
			return ev
		}
	}
}

// Quiet fails if an event has come that says anything: it makes one happen that
// must be told next.
func (s *Stream) Quiet() {
	s.T.Helper()
	ctx := context.Background()
	now := Must[*resealv1.GetBookResponse](s.T)(s.Device.C.GetBook(ctx, &resealv1.GetBookRequest{})).Book.Version
	Must[*resealv1.PutBookResponse](s.T)(s.Device.C.PutBook(ctx, &resealv1.PutBookRequest{
		BaseVersion: now, Book: &resealv1.Book{Version: now + 1, Parts: [][]byte{{1}}},
	}))
	if ev := s.Next(); ev.GetBookVersion() != now+1 {
		s.T.Fatalf("unexpected event %v", ev)
	}
}

// End is how the stream ended.
func (s *Stream) End() error {
	s.T.Helper()
	for {
		select {
		case <-s.events:
		case err := <-s.end:
			return err
		case <-time.After(patience):
			s.T.Fatal("stream did not end")
		}
	}
}

// Close ends the stream from the client's side.
func (s *Stream) Close() { s.cancel() }
