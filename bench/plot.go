package main

import (
	"fmt"
	"html"
	"strings"

	"github.com/reseal/reseal/internal/bench"
)

// plot is bars of values in one unit: ours, the floor's, and the peers'.
type plot struct {
	file, title string
	values      []string
}

var plots = []plot{
	{"cpu.svg", "Processor time of the server for 1,000 messages, s", []string{"flood.server_cpu", "rate.server_cpu", "drain.server_cpu", "drain.taken_in_cpu"}},
	{"delivered.svg", "Messages delivered a second in a flood", []string{"flood.delivered"}},
	{"latency.svg", "Latency at 200 messages a second, p50 and p99, ms", []string{"rate.latency"}},
	{"memory.svg", "Memory of an idle user at the server, KiB", []string{"idle.memory", "idle-tls.memory"}},
	{"blob.svg", "Processor time of the server for files, s/GB", []string{"blob.put_cpu", "blob.get_cpu"}},
}

type bar struct {
	label string
	value float64
	whose string // "" for ours
}

// draw is the plot as SVG; ok is false where nothing of it was measured.
func (p plot) draw(r results, rivals []bench.Rival) (svg string, ok bool) {
	var bars []bar
	names := []string{""}
	for _, one := range rivals {
		names = append(names, one.Name())
	}
	for _, value := range p.values {
		for _, whose := range names {
			label := value
			if whose != "" {
				label = whose + "-" + value
			}
			s, ok := r.of(label)
			if !ok {
				continue
			}
			bars = append(bars, bar{label, s.median, whose})
			if s.p99 > 0 {
				bars = append(bars, bar{label + " p99", s.p99, whose})
			}
		}
	}
	if len(bars) == 0 {
		return "", false
	}
	most := 0.0
	for _, b := range bars {
		most = max(most, b.value)
	}
	const row, left, width = 24, 240, 720
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n", width, 40+row*len(bars))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="10" y="22" font-weight="bold">%s</text>`+"\n", html.EscapeString(p.title))
	for i, one := range bars {
		y, long, colour := 34+row*i, 0.0, "#2f6fb3"
		if most > 0 {
			long = one.value / most * (width - left - 90)
		}
		switch one.whose {
		case "":
		case "floor":
			colour = "#9aa3ad"
		default:
			colour = "#d08a3c"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="16" fill="%s"/><text x="%.1f" y="%d">%s</text>`+"\n",
			left-8, y+13, html.EscapeString(one.label), left, y, max(long, 1), colour, left+max(long, 1)+6, y+13, number(one.value))
	}
	b.WriteString("</svg>\n")
	return b.String(), true
}
