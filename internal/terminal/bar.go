package terminal

import (
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Bars shows how far long work is: a bar for the present stage. Nil
// shows nothing; its methods may be called from many goroutines.
type Bars struct {
	out     io.Writer
	columns int

	mu    sync.Mutex
	p     *mpb.Progress
	stage string
	bar   *mpb.Bar
	over  bool
}

// barColumns is the width where the terminal's is not known.
const barColumns = 80

// NewBars shows bars on out, a terminal of so many columns (0: unknown).
func NewBars(out io.Writer, columns int) *Bars {
	if columns <= 0 {
		columns = barColumns
	}
	return &Bars{out: out, columns: columns}
}

// Report says how far a stage is; a total of 0 is unknown.
func (b *Bars) Report(stage string, done, total uint64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	if b.p == nil {
		// Not the file itself: the size of the terminal is the caller's word.
		b.p = mpb.New(mpb.WithOutput(struct{ io.Writer }{b.out}), mpb.WithAutoRefresh(), mpb.WithWidth(b.columns), mpb.WithRefreshRate(150*time.Millisecond))
	}
	if b.bar == nil || b.stage != stage {
		if b.bar != nil {
			b.bar.Abort(true)
		}
		b.bar, b.stage = b.add(stage, total), stage
	}
	b.bar.SetCurrent(int64(done))
}

func (b *Bars) add(stage string, total uint64) *mpb.Bar {
	before := mpb.PrependDecorators(decor.Name(stage, decor.WC{W: 9, C: decor.DindentRight}))
	begun := time.Now()
	speed := func(s decor.Statistics) string {
		if t := time.Since(begun); t > time.Second {
			return Size(uint64(float64(s.Current)/t.Seconds())) + "/s"
		}
		return ""
	}
	if total == 0 {
		return b.p.AddSpinner(0, mpb.BarRemoveOnComplete(), before, mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string {
			return Size(uint64(s.Current)) + "  " + speed(s)
		})))
	}
	return b.p.AddBar(int64(total), mpb.BarRemoveOnComplete(), before, mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Any(func(s decor.Statistics) string {
		text := "  " + Size(uint64(s.Current)) + " / " + Size(total) + "  " + speed(s)
		if t := time.Since(begun); t > time.Second && s.Current > 0 && s.Current < s.Total {
			text += "  " + Span(time.Duration(float64(t)/float64(s.Current)*float64(s.Total-s.Current))) + " left"
		}
		return text
	})))
}

// Stop takes the bars away and waits until nothing is written any more.
func (b *Bars) Stop() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || b.p == nil {
		b.over = true
		return
	}
	b.over = true
	b.bar.Abort(true)
	b.p.Wait()
}
