package client_test

import (
	"crypto/rand"
	"testing"
	"time"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

var openingCases = []struct {
	name string
	// before is done to the parts, after to what was sealed from them.
	before, after func(t *testing.T, o *opening)
	want          func(t *testing.T, s *seen)
}{
	{"good", nil, nil, func(t *testing.T, s *seen) {
		if !s.ready || s.state != client.IsReady || s.count.BadWraps+s.count.BadHeaders != 0 || s.asked+s.keys+s.certs != 0 {
			t.Fatalf("%+v", s)
		}
	}},

	{"1: wrap cut short", nil, func(_ *testing.T, o *opening) { o.pending.Wraps[0] = o.pending.Wraps[0][:message.WrapSize-1] }, refused},
	{"1: wrap too long", nil, func(_ *testing.T, o *opening) { o.pending.Wraps[0] = append(o.pending.Wraps[0], 0) }, refused},
	{"1: other label", nil, func(_ *testing.T, o *opening) { o.pending.Wraps[0][0] ^= 1 }, refused},
	{"1: wrap of version 0", nil, func(_ *testing.T, o *opening) { o.pending.Wraps[0][22] = 0 }, refused},
	{"1: wrap of a newer version", nil, func(_ *testing.T, o *opening) { o.pending.Wraps[0][22] = 2 }, func(t *testing.T, s *seen) {
		if s.held(t); s.state != client.Update {
			t.Fatalf("%+v", s)
		}
	}},
	{"1: header cut short", nil, func(_ *testing.T, o *opening) { o.pending.Header = o.pending.Header[:100] }, dropped},
	{"1: header that names a rewrapper", nil, func(_ *testing.T, o *opening) {
		o.pending.Header = o.header.WithRewrapper(o.bob.ID, o.other.ID).Encode()
	}, dropped},
	{"1: header of a newer version", nil, func(_ *testing.T, o *opening) { o.pending.Header[1] = 2 }, func(t *testing.T, s *seen) {
		if s.held(t); s.count.Newer != 1 || s.kept != 0 || len(s.section.Names("newer/")) != 1 {
			t.Fatalf("%+v", s)
		}
	}},

	{"2: message to somebody else", func(_ *testing.T, o *opening) {
		o.header.Recipient, o.ctx.To.Account = identity.AccountID{9}, identity.AccountID{9}
	}, nil, dropped},
	{"2: inbox message marked as a copy", func(_ *testing.T, o *opening) { o.copy = true }, nil, dropped},
	{"2: wrap for another device", func(_ *testing.T, o *opening) { o.ctx.To.Device = o.other.ID }, nil, refused},
	{"2: wrap for the sender's account", func(_ *testing.T, o *opening) { o.ctx.To.Account = o.ana.ID }, nil, refused},

	{"3: wrapped by a third account", nil, func(t *testing.T, o *opening) {
		copy(o.pending.Wraps[0][23:39], make([]byte, 16))
		o.pending.Wraps[0][23] = 7
	}, refused},

	{"4: another account key", func(_ *testing.T, o *opening) { o.ctx.From.Key[0] ^= 1 }, nil, refused},
	{"4: blocked", func(_ *testing.T, o *opening) {
		o.setup = o.block
	}, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.state != client.Held {
			t.Fatalf("%+v", s)
		}
	}},
	{
		"4: alarm", func(t *testing.T, o *opening) {
			o.setup = func(step func(client.Event) client.Output) { step(fork(t, o)) }
		}, nil,
		func(t *testing.T, s *seen) {
			if s.held(t); s.state != client.Held {
				t.Fatalf("%+v", s)
			}
		},
	},

	{"5: higher version", func(_ *testing.T, o *opening) { o.ctx.From.ListVersion++ }, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.keys != 1 || s.state != client.Waiting {
			t.Fatalf("%+v", s)
		}
		// The server has no higher one: now holders are asked.
		s.step(t, client.Answered{Call: s.resolved[0], Response: &resealv1.GetAccountsResponse{}})
		if s.asked == 0 || s.ready {
			t.Fatalf("%+v", s)
		}
	}},
	{"5: an older version is good", func(t *testing.T, o *opening) {
		o.setup = func(step func(client.Event) client.Output) {
			next := o.ana.List().List
			next.Version, next.Prev, next.IssuedAt = 2, o.ana.List().Hash(), o.now
			step(learned(o, o.ana.Sign(next)))
		}
	}, nil, func(t *testing.T, s *seen) {
		if !s.ready {
			t.Fatalf("%+v", s)
		}
	}},

	{"6: device not in the list", func(_ *testing.T, o *opening) {
		o.ctx.From.Device = identity.DeviceID{7}
	}, nil, refused},
	{"6: another device key", func(_ *testing.T, o *opening) { o.ctx.From.DeviceKey[0] ^= 1 }, nil, refused},

	{"7: another certificate", func(_ *testing.T, o *opening) { o.ctx.From.Cert[0] ^= 1 }, nil, refused},
	{"7: another auth key", func(t *testing.T, o *opening) {
		k, err := identity.NewEpochAuthKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		o.auth, o.ctx.From.Auth = k, k.Public()
	}, nil, refused},
	{"7: wrapped before the certificate", func(_ *testing.T, o *opening) { o.ctx.From.At = o.now.Add(-2 * time.Hour) }, nil, refused},
	{"7: wrapped after the certificate", func(_ *testing.T, o *opening) { o.ctx.From.At = o.now.Add(91 * 24 * time.Hour) }, nil, refused},
	{"7: certificate not known", func(_ *testing.T, o *opening) { o.ctx.From.Epoch = 2 }, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.certs != 1 || s.state != client.Waiting {
			t.Fatalf("%+v", s)
		}
		// Nor at the server: that is no wrap.
		s.step(t, client.Answered{Call: s.certified[0], Response: &resealv1.GetCertificatesResponse{}})
		s.count = s.engine.Counters()
		s.refused(t)
	}},

	{"8: end mark", func(t *testing.T, o *opening) {
		o.setup = func(step func(client.Event) client.Output) {
			o.seal(t)
			step(client.Streamed{Event: &resealv1.EventsResponse{Event: &resealv1.EventsResponse_Message{Message: o.pending}}})
			step(client.View{ID: o.header.ID})
			step(client.Viewed{ID: o.header.ID})
		}
	}, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.state != client.IsViewed {
			t.Fatalf("%+v", s)
		}
	}},
	{"8: expired", expired, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.kept != 0 {
			t.Fatalf("%+v", s)
		}
	}},

	{"9: encapsulation", nil, func(_ *testing.T, o *opening) { o.pending.Wraps[0][415] ^= 1 }, refused},
	{"9: box", nil, func(_ *testing.T, o *opening) { o.pending.Wraps[0][message.WrapSize-1] ^= 1 }, refused},
	{"9: epoch that this device does not have", func(_ *testing.T, o *opening) { o.ctx.To.Epoch = 2 }, nil, refused},
	{"9: another certificate of this device", func(_ *testing.T, o *opening) { o.ctx.To.Cert[0] ^= 1 }, nil, refused},
	{"9: another key of this device", func(_ *testing.T, o *opening) { o.ctx.To.DeviceKey[0] ^= 1 }, nil, refused},
	{"9: sealed to another epoch key", func(_ *testing.T, o *opening) { o.to = o.other.First }, nil, refused},
	{"9: another digest", nil, func(_ *testing.T, o *opening) {
		o.header.Digest[0] ^= 1
		o.header.ID = message.NewID(o.now.Day(), o.ana.ID, o.bob.ID, message.ClientID{1}, o.header.Digest)
		o.pending.Header = o.header.Encode()
	}, refused},
	{"10: known version, other hash", func(_ *testing.T, o *opening) { o.ctx.From.ListHash[0] ^= 1 }, nil, func(t *testing.T, s *seen) {
		if s.ready || s.alarms != 1 || s.count.Alarms != 1 || s.state != client.Held {
			t.Fatalf("%+v", s)
		}
	}},
	{"10: other hash in a context that is not authentic", nil, func(t *testing.T, o *opening) {
		x, err := message.ParseWrap(o.pending.Wraps[0])
		if err != nil {
			t.Fatal(err)
		}
		x.Context.From.ListHash[0] ^= 1
		o.pending.Wraps[0] = x.Encode()
	}, func(t *testing.T, s *seen) {
		if s.refused(t); s.alarms != 0 || s.count.Alarms != 0 {
			t.Fatalf("%+v", s)
		}
	}},
	{"10: other hash of an older version", func(t *testing.T, o *opening) {
		o.setup = func(step func(client.Event) client.Output) {
			next := o.ana.List().List
			next.Version, next.Prev, next.IssuedAt = 2, o.ana.List().Hash(), o.now
			step(learned(o, o.ana.Sign(next)))
		}
		o.ctx.From.ListHash[0] ^= 1
	}, nil, func(t *testing.T, s *seen) {
		if !s.ready || s.alarms != 0 { // nobody keeps all lists
			t.Fatalf("%+v", s)
		}
	}},

	// The order: of two faults the earlier line decides what follows. Not to be seen
	// from outside: 3 and 4 (a third account's wrap does not fit its header, which
	// line 1 finds), 8 and 9 (a message that is over is not looked at).
	{"1 before 2", func(_ *testing.T, o *opening) { o.ctx.To.Device = o.other.ID }, func(_ *testing.T, o *opening) { o.pending.Wraps[0][22] = 2 }, func(t *testing.T, s *seen) {
		if s.held(t); s.state != client.Update {
			t.Fatalf("%+v", s)
		}
	}},
	{"2 before 4", func(_ *testing.T, o *opening) { o.ctx.To.Device, o.setup = o.other.ID, o.block }, nil, func(t *testing.T, s *seen) {
		if s.count.BadWraps != 1 || s.ready {
			t.Fatalf("%+v", s)
		}
	}},
	{"2 before 5", func(_ *testing.T, o *opening) { o.ctx.To.Device = o.other.ID; o.ctx.From.ListVersion++ }, nil, func(t *testing.T, s *seen) {
		if s.refused(t); s.keys != 0 {
			t.Fatalf("%+v", s)
		}
	}},
	{"3 before 5", func(_ *testing.T, o *opening) { o.ctx.From.ListVersion++ }, func(_ *testing.T, o *opening) {
		copy(o.pending.Wraps[0][23:39], make([]byte, 16))
		o.pending.Wraps[0][23] = 7
	}, func(t *testing.T, s *seen) {
		if s.refused(t); s.alarms != 0 || s.keys != 0 {
			t.Fatalf("%+v", s)
		}
	}},
	{"4 before 5", func(_ *testing.T, o *opening) {
		o.ctx.From.ListVersion++
		o.setup = o.block
	}, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.keys != 0 {
			t.Fatalf("%+v", s)
		}
	}},
	{"4 before 5, by an alarm", func(t *testing.T, o *opening) {
		o.ctx.From.ListVersion++
		o.setup = func(step func(client.Event) client.Output) { step(fork(t, o)) }
	}, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.keys != 0 || s.state != client.Held {
			t.Fatalf("%+v", s)
		}
	}},
	{"4 before 6", func(_ *testing.T, o *opening) { o.ctx.From.Device[0] ^= 1; o.setup = o.block }, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.state != client.Held {
			t.Fatalf("%+v", s)
		}
	}},
	{"4 before 6, by an alarm", func(t *testing.T, o *opening) {
		o.ctx.From.Device[0] ^= 1
		o.setup = func(step func(client.Event) client.Output) { step(fork(t, o)) }
	}, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.state != client.Held {
			t.Fatalf("%+v", s)
		}
	}},
	{"5 before 6", func(_ *testing.T, o *opening) { o.ctx.From.ListVersion++; o.ctx.From.Device[0] ^= 1 }, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.keys != 1 {
			t.Fatalf("%+v", s)
		}
	}},
	{"6 before 7", func(_ *testing.T, o *opening) { o.ctx.From.Epoch = 2; o.ctx.From.DeviceKey[0] ^= 1 }, nil, func(t *testing.T, s *seen) {
		if s.refused(t); s.certs != 0 {
			t.Fatalf("%+v", s)
		}
	}},
	{"7 before 9", func(_ *testing.T, o *opening) { o.ctx.From.Epoch = 2; o.ctx.To.Epoch = 2 }, nil, func(t *testing.T, s *seen) {
		if s.held(t); s.certs != 1 {
			t.Fatalf("%+v", s)
		}
	}},
}

// block has the recipient block ana.
func (o *opening) block(step func(client.Event) client.Output) {
	step(client.ChangeContact{Account: o.ana.ID, Change: client.Block})
}

func expired(_ *testing.T, o *opening) {
	o.header.Created, o.header.Expires = o.now.Add(-time.Hour), o.now
	o.header.ID = message.NewID(o.header.Created.Day(), o.ana.ID, o.bob.ID, message.ClientID{1}, o.secret.Digest)
}
