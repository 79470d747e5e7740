package small

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/api/refusal"
	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/store"
	"github.com/reseal/reseal/store/memory"
)

// server is the server in one state: its store. It is never changed.
type server struct {
	n     uint32
	store *memory.Store
}

// answer is what the server said to a call.
type answer struct {
	label    string
	response proto.Message
	refusal  *client.Refusal
	passing  bool
}

type askKey struct {
	server uint32
	who    int
	hash   [32]byte
	online uint8
	now    moment
}

type asked struct {
	server *server
	answer *answer
}

// handlers are those over a copy of the server's store.
func (s *search) handlers(v *server, h [32]byte, online uint8, now moment) (world.Handlers, *memory.Store) {
	clock := func() time.Time { return at(now) }
	st := v.store.Clone(clock)
	return world.Handle(st, clock, seed(h), func(a identity.AccountID) (ids []identity.DeviceID) {
		for who, c := range s.callers {
			if c.Account == a && online&(1<<who) != 0 {
				ids = append(ids, c.Device)
			}
		}
		return ids
	}), st
}

// ask makes one call.
func (s *search) ask(v *server, who int, req proto.Message, hash [32]byte, online uint8, now moment) (*server, *answer) {
	key := askKey{v.n, who, hash, online, now}
	if a, ok := s.asked[key]; ok {
		return a.server, a.answer
	}
	h, st := s.handlers(v, sha256.Sum256(fmt.Appendf(hash[:len(hash):len(hash)], "%d", who)), online, now)
	resp, err := h.Call(s.callers[who], req)
	a := &answer{response: resp}
	switch {
	case err != nil && refusal.Passing(err):
		a.passing = true
	case err != nil:
		detail := refusal.Detail(err)
		a.response, a.refusal = nil, &client.Refusal{Reason: detail.GetReason(), Detail: detail}
		a.label = fmt.Sprint("refused ", detail.GetReason())
	default:
		b, err := exactly.Marshal(resp)
		s.must(err)
		a.label = fmt.Sprintf("%x", sha256.Sum256(b))
	}
	next := s.standing(st)
	s.asked[key] = asked{next, a}
	return next, a
}

// standing is the one server with these records.
func (s *search) standing(st *memory.Store) *server {
	sum := sha256.New()
	ctx := context.Background()
	all, err := st.Partitions(ctx, "", "", store.MaxPage)
	s.must(err)
	for _, p := range all {
		fmt.Fprintf(sum, "%q\n", p)
		for rec, err := range store.Scan(ctx, st, p, "", "", false) {
			s.must(err)
			fmt.Fprintf(sum, "%q %d %d %x %x\n", rec.Key, rec.Rev, rec.Expires, rec.Token, rec.Value)
		}
	}
	key := [32]byte(sum.Sum(nil))
	if n, ok := s.byRecords[key]; ok {
		return s.servers[n]
	}
	v := &server{uint32(len(s.servers)), st}
	s.byRecords[key], s.servers = v.n, append(s.servers, v)
	return v
}

// entry is what waits in a device's queue.
type entry struct {
	label string
	event *resealv1.EventsResponse
}

type waitKey struct {
	server uint32
	who    int
	now    moment
}

// next is the first entry of a device's queue that did not come on its connection
// yet.
func (s *search) next(v *server, d *device, now moment) (entry, bool) {
	key := waitKey{v.n, d.who, now}
	all, ok := s.waits[key]
	if !ok {
		h, _ := s.handlers(v, [32]byte{}, 0, now)
		events, err := h.Waiting(s.callers[d.who])
		s.must(err)
		for _, ev := range events {
			b, err := exactly.Marshal(ev)
			s.must(err)
			all = append(all, entry{fmt.Sprintf("%x", sha256.Sum256(b)), ev})
		}
		s.waits[key] = all
	}
	for _, e := range all {
		if !d.hears(e) {
			return e, true
		}
	}
	return entry{}, false
}

func (d *device) hears(e entry) bool {
	for _, name := range d.heard {
		if name == string(e.event.Entry) {
			return true
		}
	}
	return false
}

// sync is what a device takes in when its stream has caught up.
func (s *search) sync(v *server, d *device, online uint8, now moment) (*server, input) {
	in := input{label: "sync", change: func(d *device) { d.synced = true }}
	say := func(req proto.Message) proto.Message {
		b, err := exactly.Marshal(req)
		s.must(err)
		var a *answer
		v, a = s.ask(v, d.who, req, sha256.Sum256(fmt.Appendf(b, "%T", req)), online, now)
		if a.response == nil {
			s.fail("%s: %T: %+v", s.names[d.who], req, a)
		}
		in.label += " " + a.label
		return a.response
	}
	me := s.callers[d.who].Account
	own := say(&resealv1.GetAccountsRequest{Accounts: []*resealv1.KnownAccount{{AccountId: me[:]}}})
	in.events = append(in.events, client.Learned{Accounts: own.(*resealv1.GetAccountsResponse).Accounts})
	from, through := d.engine.SyncDays(identity.TimeOf(at(now)))
	for day := from; day <= through; day++ {
		page := say(&resealv1.ReadDayRequest{Day: day}).(*resealv1.ReadDayResponse)
		if len(page.Messages)+len(page.Ends)+len(page.Receipts) > 0 {
			in.events = append(in.events, client.DayRead{Day: day, Response: page})
		}
	}
	in.events = append(in.events, client.Synced{Through: through})
	in.label = fmt.Sprintf("sync %x", sha256.Sum256([]byte(in.label)))
	return v, in
}

func contains(b, secret []byte) bool { return bytes.Contains(b, secret) }

// broken is a broken promise.
type broken struct{ error }

func (s *search) fail(f string, args ...any) { panic(broken{fmt.Errorf(f, args...)}) }

func (s *search) must(err error) {
	if err != nil {
		panic(broken{errors.Join(errors.New("the search itself"), err)})
	}
}
