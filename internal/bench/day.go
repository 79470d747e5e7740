package bench

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/reseal/reseal/internal/bench/presealed"
)

var (
	dayCalls   = Meaning{"messages", "messages", "how many were delivered in all", false}
	dayHeap    = Meaning{"heap", "ratio", "the live heap in the last quarter of the hours over that in the second quarter, medians", true}
	dayThreads = Meaning{"goroutines", "ratio", "goroutines, likewise", true}
	dayStore   = Meaning{"store", "ratio", "bytes of the store's files, likewise", true}
	lastHeap   = Meaning{"last_heap", "MiB", "the live heap after the last hour", true}
	lastCount  = Meaning{"last_goroutines", "goroutines", "goroutines after the last hour", true}
	lastStore  = Meaning{"last_store", "MiB", "the store's files after the last hour", true}
)

// hour is what a server holds after an hour.
type hour struct{ heap, goroutines, store float64 }

// day does the work of many hours one after the other, with messages that live as
// much shorter, and looks at what the server holds after each.
func day(ctx context.Context, s *stage) error {
	h, err := s.serve(ctx, nil, "--metrics", "127.0.0.1:0", "--sweep-every", time.Duration(s.sweep*float64(time.Second)).String())
	if err != nil {
		return err
	}
	w := &witnesses{}
	devices, err := s.accounts(ctx, h, s.witnessing)
	if err != nil {
		return err
	}
	var all []hour
	for range s.hours {
		if err := s.hour(ctx, h, w, devices); err != nil {
			return err
		}
		one, err := s.look(ctx, h)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	last := all[len(all)-1]
	ratio := func(of func(hour) float64) Value {
		var values []float64
		for _, one := range all {
			values = append(values, of(one))
		}
		n := len(values) / 4
		return Value{Value: middle(values[3*n:]) / middle(values[n:2*n])}
	}
	heap, goroutines, store := ratio(func(o hour) float64 { return o.heap }), ratio(func(o hour) float64 { return o.goroutines }), ratio(func(o hour) float64 { return o.store })
	if err := errors.Join(
		s.tell(dayCalls, Value{Value: float64(w.delivered.Load())}), s.tell(dayHeap, heap), s.tell(dayThreads, goroutines), s.tell(dayStore, store),
		s.tell(lastHeap, Value{Value: last.heap / (1 << 20)}), s.tell(lastCount, Value{Value: last.goroutines}), s.tell(lastStore, Value{Value: last.store / (1 << 20)}),
	); err != nil {
		return err
	}
	if s.o.Quick {
		return nil
	}
	return errors.Join(
		promise(heap.Value <= 1.2, "the live heap grew to %.2f times what it was", heap.Value),
		promise(goroutines.Value <= 1.1, "goroutines grew to %.2f times what they were", goroutines.Value),
		promise(store.Value <= 1.25, "the store's files grew to %.2f times what they were", store.Value),
	)
}

func middle(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// hour is one hour's work: everybody connects, sends and takes messages, begins a
// login, and goes.
func (s *stage) hour(ctx context.Context, h *host, w *witnesses, devices []*presealed.Device) (err error) {
	defer func() { err = errors.Join(err, closeAll(w.clients)) }()
	if w.clients, w.letters, err = s.connected(ctx, devices, time.Duration(s.life*float64(time.Second)), func(a presealed.Arrival) { w.arrived(a.Message) }); err != nil {
		return err
	}
	desk, err := presealed.Dial(ctx, h.url, h.http)
	if err != nil {
		return err
	}
	defer desk.Close()
	work := &load{senders: len(devices)}
	if err := work.together(func(i int) error {
		for range s.anHour {
			if _, err := w.one(ctx, i); err != nil {
				return err
			}
		}
		return desk.Knock(ctx)
	}); err != nil {
		return err
	}
	return w.empty(ctx)
}

// look is what a server holds. The live heap is what its last collection found:
// half of where the next one begins.
func (s *stage) look(ctx context.Context, h *host) (o hour, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.metrics+"/metrics", nil)
	if err != nil {
		return o, err
	}
	resp, err := h.http.Do(req)
	if err != nil {
		return o, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "go_memstats_next_gc_bytes":
			o.heap = n / 2
		case "go_goroutines":
			o.goroutines = n
		}
	}
	if o.heap == 0 || o.goroutines == 0 {
		return o, errors.New("the server's metrics say nothing of its heap")
	}
	return o, filepath.WalkDir(filepath.Join(s.dir, "server", "store"), func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			o.store += float64(info.Size())
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	})
}
