package small

import (
	"errors"
	"fmt"
	"slices"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/caller"
	"github.com/reseal/reseal/message"
)

// search is a search through the courses of one small world.
type search struct {
	names    []string
	callers  []caller.Caller
	messages []planned
	every    int  // how many states are healed: one in so many
	forgets  bool // a planted fault: devices lose what is streamed to them

	devices   []*device
	byState   map[[32]byte]uint32
	steps     map[stepKey]*device
	servers   []*server
	byRecords map[[32]byte]uint32
	asked     map[askKey]asked
	waits     map[waitKey][]entry

	order  []state
	from   []uint32 // the state before, by its place in order
	how    []move
	met    map[state]bool
	healed map[state]bool
}

// planned is a message that one device may send.
type planned struct {
	from    int
	content client.AddContent
	send    client.Send
	policy  message.Policy
	id      message.ID
}

// state is four devices and a server, each by its number.
type state struct {
	devices [4]uint32
	server  uint32
}

// kind is what can happen.
type kind uint8

const (
	connects kind = iota
	hangsUp
	restarts
	hears
	syncs
	delivers
	loses // the answer
	sends
	views
	shown
	unsends
	ticks
)

var kinds = [...]string{
	"connects", "hangs up", "restarts", "hears", "syncs", "gets an answer", "gets no answer", "sends", "views", "has shown", "unsends", "ticks",
}

// move is one thing that happens at a device.
type move struct {
	kind kind
	who  uint8
	arg  uint8
	dies bool
}

func (s *search) String(m move) string {
	dies := map[bool]string{true: ", and dies"}[m.dies]
	return fmt.Sprintf("%s %s %d%s", s.names[m.who], kinds[m.kind], m.arg, dies)
}

// online is a bit for each device that is.
func (s *search) online(x state) (bits uint8) {
	for who, n := range x.devices {
		if s.devices[n].online {
			bits |= 1 << who
		}
	}
	return bits
}

// maxLives is how often a device is started at most.
const maxLives = 2

// moves is all that can happen in a state.
func (s *search) moves(x state) (all []move) {
	for who, n := range x.devices {
		d := s.devices[n]
		add := func(k kind, arg int, mayDie bool) {
			all = append(all, move{k, uint8(who), uint8(arg), false})
			if mayDie && d.lives < maxLives {
				all = append(all, move{k, uint8(who), uint8(arg), true})
			}
		}
		if !d.online {
			add(connects, 0, false)
		} else {
			add(hangsUp, 0, false)
			if d.lives < maxLives {
				add(restarts, 0, false)
			}
			if _, waits := s.next(s.servers[x.server], d, 0); waits {
				add(hears, 0, true)
			} else if !d.synced {
				add(syncs, 0, true)
			}
			for i := range d.calls {
				add(delivers, i, true)
				add(loses, i, false)
			}
		}
		for i, m := range s.messages {
			got, _, err := d.engine.Get(base, m.id)
			switch {
			case m.from == who && d.did&(1<<i) == 0:
				add(sends, i, true)
			case m.from == who && d.did&(4<<i) == 0:
				add(unsends, i, true)
			case m.from != who && err == nil && got.State == client.IsReady:
				add(views, i, true)
			case d.shows&(1<<i) != 0:
				add(shown, i, true)
			}
		}
	}
	return all
}

// after is the state after a move.
func (s *search) after(x state, m move, now moment) state {
	d, v := s.devices[x.devices[m.who]], s.servers[x.server]
	in := input{dies: m.dies, label: fmt.Sprint(m.kind, m.arg)}
	switch m.kind {
	case connects:
		in.events = []client.Event{client.Connected{}}
		in.change = func(d *device) { d.online, d.synced, d.heard, d.calls = true, false, nil, nil }
	case hangsUp:
		in.events = []client.Event{client.Disconnected{}}
		in.change = func(d *device) { d.online, d.synced, d.heard, d.calls = false, false, nil, nil }
	case restarts:
		in.dies = true
	case ticks:
		in.events = []client.Event{client.Tick{}}
	case hears:
		e, _ := s.next(v, d, now)
		in.label = "hears " + e.label
		if !s.forgets {
			in.events = []client.Event{client.Streamed{Event: e.event}}
		}
		in.change = func(d *device) { d.heard = append(slices.Clone(d.heard), string(e.event.Entry)) }
	case syncs:
		v, in = s.sync(v, d, s.online(x), now)
		in.dies = m.dies
	case delivers, loses:
		c := d.calls[m.arg]
		var a *answer
		v, a = s.ask(v, d.who, c.Request, c.hash, s.online(x), now)
		if x.server = v.n; a.passing || m.kind == loses {
			return x
		}
		in.label = fmt.Sprintf("answer %x %s", c.hash, a.label)
		in.events = []client.Event{client.Answered{Call: c.Call, Response: a.response, Refusal: a.refusal}}
		in.change = func(d *device) {
			d.calls = slices.DeleteFunc(slices.Clone(d.calls), func(o call) bool { return o.Key == c.Key })
		}
	case sends:
		p := s.messages[m.arg]
		in.events = []client.Event{p.content, p.send}
		in.change = func(d *device) { d.did |= 1 << m.arg }
	case unsends:
		in.events = []client.Event{client.Unsend{ID: s.messages[m.arg].id}}
		in.change = func(d *device) { d.did |= 4 << m.arg }
	case views:
		in.events = []client.Event{client.View{ID: s.messages[m.arg].id}}
	case shown:
		in.events = []client.Event{client.Viewed{ID: s.messages[m.arg].id}}
		in.change = func(d *device) { d.shows &^= 1 << m.arg }
	}
	x.devices[m.who], x.server = s.step(d, in, now).n, v.n
	return x
}

// run goes through states until there are so many, and says how far it came.
func (s *search) run(first state, most int) (depth int, err error) {
	var x state
	defer func() {
		switch p := recover().(type) {
		case nil:
		case broken:
			err = p
		default:
			panic(p)
		}
	}()
	s.meet(first, 0, move{})
	for begin := 0; begin < len(s.order); depth++ {
		end := len(s.order)
		for i := begin; i < end; i++ {
			x = s.order[i]
			for _, m := range s.moves(x) {
				y := s.after(x, m, 0)
				if s.met[y] {
					continue
				}
				if s.meet(y, uint32(i), m); len(s.order) >= most {
					return depth, nil
				}
			}
		}
		begin = end
	}
	return depth, nil
}

// meet notes a new state, and checks it.
func (s *search) meet(x state, from uint32, m move) {
	s.met[x] = true
	s.order, s.from, s.how = append(s.order, x), append(s.from, from), append(s.how, m)
	for i, p := range s.messages {
		granted := 0
		for who, n := range x.devices {
			if s.callers[who].Account != s.callers[p.from].Account && s.devices[n].granted&(1<<i) != 0 {
				granted++
			}
		}
		if granted > 1 && p.policy == message.Once {
			s.fail("two devices were granted the one view of message %d\n%s", i, s.course(len(s.order)-1))
		}
	}
	if len(s.order)%s.every == 0 {
		if err := s.heal(x); err != nil {
			s.fail("%w\n%s", err, s.course(len(s.order)-1))
		}
	}
}

// course is how a state came about.
func (s *search) course(i int) (all string) {
	for ; i > 0; i = int(s.from[i]) {
		all = s.String(s.how[i]) + "\n" + all
	}
	return all
}

// index is which of the messages has an id, -1 for none.
func (s *search) index(id message.ID) int {
	return slices.IndexFunc(s.messages, func(p planned) bool { return p.id == id })
}

var errNoRest = errors.New("does not come to rest")
