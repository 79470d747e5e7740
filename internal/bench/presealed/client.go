package presealed

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/reseal/reseal/api/mux"
	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// errAnswer is an answer that no server gives.
var errAnswer = errors.New("presealed: the server's answer has the wrong form")

// Arrival is what came down a device's event stream.
type Arrival struct {
	// Message is set for a message, and for wraps that came after it (Late).
	Message message.ID
	Late    bool
	// Wraps is how many came for this device.
	Wraps int
	// Account is set where an account changed; Version is that of its list.
	Account identity.AccountID
	Version uint64
}

// Client is a device that is connected: one connection with one event stream.
type Client struct {
	Device *Device

	conn    *mux.Conn
	calls   calls
	events  resealv1connect.MailboxServiceEventsClientStream
	arrived func(Arrival)
	cancel  context.CancelFunc
	running sync.WaitGroup
	caught  chan struct{} // closed by the first CaughtUp

	mu    sync.Mutex
	acks  [][]byte // to acknowledge
	owed  int      // how many are not acknowledged yet
	wake  chan struct{}
	err   error // of the first call or event that failed
	ended bool
}

// maxAcks is how many entries one call acknowledges.
const maxAcks = 256

// Connect brings the device online, and returns when everything that waited has
// come. arrived is told of all that comes, what waited included, one after the
// other. watch are the accounts whose changes it wants to hear of.
func (d *Device) Connect(ctx context.Context, arrived func(Arrival), watch ...identity.AccountID) (*Client, error) {
	c, err := d.begin(ctx, arrived, watch)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.caught:
		return c, nil
	case <-c.conn.Done():
		err = c.conn.Err()
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	c.Close()
	return nil, err
}

func (d *Device) begin(ctx context.Context, arrived func(Arrival), watch []identity.AccountID) (*Client, error) {
	conn, err := d.host.dial(ctx, d.token())
	if err != nil {
		return nil, err
	}
	c := &Client{Device: d, conn: conn, calls: callsOver(conn), arrived: arrived, caught: make(chan struct{}), wake: make(chan struct{}, 1)}
	req := new(resealv1.EventsRequest)
	for _, a := range watch {
		req.Watch = append(req.Watch, a[:])
	}
	running, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	if c.events, err = c.calls.mailbox.Events(running, req); err != nil {
		cancel()
		_ = conn.Close()
		return nil, err
	}
	c.running.Go(c.receive)
	c.running.Go(func() { c.acknowledge(running) })
	return c, nil
}

// Close takes the device offline. What it has not acknowledged comes again.
func (c *Client) Close() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.cancel()
	_ = c.conn.Close()
	c.running.Wait()
}

// Err is the first thing that went wrong while the device was online.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && !c.ended {
		c.err = err
	}
}

// Send hands a message over and waits until the server has it, durable. stale
// are the accounts whose devices the wraps do not cover, as they are now.
func (c *Client) Send(ctx context.Context, req *resealv1.SendRequest) (stale []*resealv1.AccountKeys, err error) {
	resp, err := c.calls.mailbox.Send(ctx, req)
	if err != nil {
		return nil, err
	}
	return resp.Stale, nil
}

// AddWraps adds a wrap, as Letter.Wrap makes them, to a message that was sent.
func (c *Client) AddWraps(ctx context.Context, h message.Header, wraps ...[]byte) error {
	_, err := c.calls.mailbox.AddWraps(ctx, &resealv1.AddWrapsRequest{
		MessageId: h.ID[:], Recipient: h.Recipient[:], Sender: h.Sender[:], Wraps: wraps,
	})
	return err
}

func (c *Client) receive() {
	defer c.events.Close()
	caught := false
	for {
		ev, err := c.events.Receive()
		if err != nil {
			c.fail(err)
			return
		}
		if ev.GetCaughtUp() != nil && !caught {
			caught = true
			close(c.caught)
		}
		if a, ok := arrival(ev); ok && c.arrived != nil {
			c.arrived(a)
		}
		if len(ev.Entry) > 0 {
			c.mu.Lock()
			c.acks = append(c.acks, ev.Entry)
			c.owed++
			c.mu.Unlock()
			select {
			case c.wake <- struct{}{}:
			default:
			}
		}
	}
}

func arrival(ev *resealv1.EventsResponse) (a Arrival, ok bool) {
	switch e := ev.Event.(type) {
	case *resealv1.EventsResponse_Message:
		h, err := message.ParseHeader(e.Message.Header)
		return Arrival{Message: h.ID, Wraps: len(e.Message.Wraps)}, err == nil
	case *resealv1.EventsResponse_Wraps:
		id, err := message.IDFromBytes(e.Wraps.MessageId)
		return Arrival{Message: id, Late: true, Wraps: len(e.Wraps.Wraps)}, err == nil
	case *resealv1.EventsResponse_Account:
		l, err := identity.ParseSignedList(e.Account.List)
		if err != nil {
			return Arrival{}, false
		}
		return Arrival{Account: l.List.Account, Version: l.List.Version}, true
	}
	return Arrival{}, false
}

// acknowledge takes what came off the queue at the server: what comes while one
// call is under way goes with the next.
func (c *Client) acknowledge(ctx context.Context) {
	for {
		c.mu.Lock()
		n := min(len(c.acks), maxAcks)
		now := c.acks[:n:n]
		c.acks = c.acks[n:]
		c.mu.Unlock()
		if n == 0 {
			select {
			case <-c.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		for {
			_, err := c.calls.mailbox.Acknowledge(ctx, &resealv1.AcknowledgeRequest{Entries: now})
			if err == nil {
				break
			}
			if !c.later(ctx, err) {
				c.fail(err)
				return
			}
		}
		c.mu.Lock()
		c.owed -= n
		c.mu.Unlock()
	}
}

// later waits as long as a server that has too much to do asks for; it is false
// for every other error.
func (c *Client) later(ctx context.Context, err error) bool {
	wait, shed := Shed(err)
	if !shed {
		return false
	}
	select {
	case <-time.After(wait):
		return true
	case <-c.conn.Done():
	case <-ctx.Done():
	}
	return false
}

// Shed tells whether a server refused a call because it had too much to do, and
// when it wants to be asked again.
func Shed(err error) (wait time.Duration, shed bool) {
	d := refusal.Detail(err)
	if d.GetReason() != resealv1.Reason_REASON_UNAVAILABLE || d.GetLimit() != "overload" {
		return 0, false
	}
	return time.Duration(d.RetryAfterMs) * time.Millisecond, true
}

// Owed is how much of what has come is not acknowledged yet.
func (c *Client) Owed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owed
}
