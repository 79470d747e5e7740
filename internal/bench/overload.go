package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

var (
	crowdTook = Meaning{"accepted", "calls/s", "calls of the crowd that were done, messages and logins begun", false}
	crowdShed = Meaning{"shed", "calls/s", "calls that were refused as overload, all told", false}
	calmTime  = Meaning{"calm", "ms", "before the crowd: from when a message was due to its delivery, repeated calls included", false}
	rushTime  = Meaning{"latency", "ms", "while the crowd is there: the same, of the same people", false}
	recovery  = Meaning{"recovery", "s", "from when the crowd stops to the first of ten messages in a row that take at most twice the calm median and 20 ms", false}
	peak      = Meaning{"memory_peak", "MiB", "the most that the server held in the second half of the rush", true}
	peakFirst = Meaning{"memory_first_half", "MiB", "the most that it held in the first half", true}
)

// overload puts far more calls to a server than it can answer, while a few people
// go on as before.
func overload(ctx context.Context, s *stage) error {
	h, err := s.serve(ctx, nil, "--max-calls", strconv.Itoa(s.maxCalls))
	if err != nil {
		return err
	}
	people, err := s.witnesses(ctx, h)
	if err != nil {
		return err
	}
	c, err := s.crowd(ctx, h)
	if err != nil {
		return err
	}
	calm := people.watch(ctx, s.warm+s.calm, nil)
	if err := calm.err; err != nil {
		return err
	}
	stop := c.begin(ctx)
	from := time.Now()
	m := h.remember(ctx)
	// It goes on until it was too much.
	rush := people.watch(ctx, s.rush, func() bool { return c.shed.Load() > 0 || time.Since(from) > patience })
	first, second := m.end()
	took := time.Since(from)
	took0, shed := c.took.Load(), c.shed.Load()
	over := time.Now()
	crowdErr := stop()
	if err := errors.Join(rush.err, crowdErr); err != nil {
		return err
	}
	if shed == 0 {
		return fmt.Errorf("a promise is broken: nothing was refused as overload in %v", took)
	}
	most := 2*calm.times.Quantile(0.5) + 20*time.Millisecond
	if s.o.Quick {
		most = patience // its times mean nothing
	}
	back, err := people.recovered(ctx, over, most)
	if err != nil {
		return err
	}
	perSecond := func(n int64) Value { return Value{Value: float64(n) / took.Seconds(), Seconds: took.Seconds()} }
	if err := errors.Join(
		s.tell(crowdTook, perSecond(took0)), s.tell(crowdShed, perSecond(shed)),
		s.tell(calmTime, latency(&calm.times)), s.tell(rushTime, latency(&rush.times)), s.tell(recovery, Value{Value: back.Seconds()}),
		s.tell(peakFirst, Value{Value: first / (1 << 20)}), s.tell(peak, Value{Value: second / (1 << 20)}),
	); err != nil {
		return err
	}
	if s.o.Quick {
		return nil
	}
	return errors.Join(
		promise(back <= 10*time.Second, "it took %v to recover, more than 10 s", back),
		promise(second <= 1.25*first+64<<20, "memory went on growing in the rush: from %.0f to %.0f MiB", first/(1<<20), second/(1<<20)),
	)
}

func promise(kept bool, format string, args ...any) error {
	if kept {
		return nil
	}
	return fmt.Errorf("a promise is broken: "+format, args...)
}
