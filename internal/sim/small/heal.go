package small

import (
	"fmt"

	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/message"
)

// maxHeal is how much may happen until a healed world is at rest.
const maxHeal = 2000

// heal brings everybody online, lets everything arrive, and minutes pass; then each
// message that was sent is readable, or has ended by somebody's doing.
func (s *search) heal(x state) error {
	var way []state
	for now := moment(0); now < 3; now++ {
		if now > 0 {
			for who := range x.devices {
				x = s.after(x, move{kind: ticks, who: uint8(who)}, now)
			}
		}
		for n := 0; ; n++ {
			if n > maxHeal {
				return errNoRest
			}
			if now == 0 {
				if s.healed[x] {
					s.good(way)
					return nil
				}
				way = append(way, x)
			}
			m, ok := s.pending(x, now)
			if !ok {
				break
			}
			x = s.after(x, m, now)
		}
	}
	if err := s.arrived(x); err != nil {
		return err
	}
	s.good(way)
	return nil
}

func (s *search) good(way []state) {
	for _, x := range way {
		s.healed[x] = true
	}
}

// pending is one thing that has to happen until the world is at rest.
func (s *search) pending(x state, now moment) (move, bool) {
	for who, n := range x.devices {
		d := s.devices[n]
		m := move{who: uint8(who)}
		_, waits := s.next(s.servers[x.server], d, now)
		switch {
		case !d.online:
			m.kind = connects
		case waits:
			m.kind = hears
		case !d.synced:
			m.kind = syncs
		case len(d.calls) > 0:
			m.kind = delivers
		default:
			continue
		}
		return m, true
	}
	return move{}, false
}

// arrived: what was sent is readable wherever it has not ended.
func (s *search) arrived(x state) error {
	for i, p := range s.messages {
		sender := s.devices[x.devices[p.from]]
		if sender.did&(1<<i) == 0 {
			continue
		}
		got, _, err := sender.engine.Get(base, p.id)
		if err != nil || got.State == client.Queued {
			return fmt.Errorf("message %d is %q at its sender (%w)", i, got.State, err)
		}
		viewed := false
		for _, n := range x.devices {
			viewed = viewed || s.devices[n].granted&(1<<i) != 0
		}
		for who, n := range x.devices {
			if s.callers[who].Account != p.send.To[0].Account {
				continue
			}
			d := s.devices[n]
			got, _, err := d.engine.Get(base, p.id)
			o, openErr := d.engine.Opening(base, p.id)
			switch {
			case openErr == nil && o.CEK == p.content.CEK:
			case sender.did&(4<<i) != 0:
			case viewed && p.policy == message.Once && (err != nil || got.State == client.IsViewed):
			default:
				return fmt.Errorf("%s cannot read message %d, which is %q there (%v, %v)", s.names[who], i, got.State, err, openErr)
			}
		}
	}
	return nil
}
