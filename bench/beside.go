package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reseal/reseal/internal/bench"
)

// column is a value in a table of servers.
type column struct {
	head, value string
	p99         bool
}

// besides are the tables: what several servers were measured for.
var besides = []struct {
	title, figure string
	columns       []column
}{
	{"Messages in a flood", "flood", []column{
		{"delivered/s", "flood.delivered", false}, {"server CPU s/1,000", "flood.server_cpu", false}, {"p50 ms", "flood.latency", false}, {"p99 ms", "flood.latency", true},
	}},
	{"200 messages a second", "rate", []column{
		{"p50 ms", "rate.latency", false}, {"p99 ms", "rate.latency", true}, {"server CPU s/1,000", "rate.server_cpu", false},
	}},
	{"Idle users", "idle", []column{{"KiB a user", "idle.memory", false}, {"server MiB before", "idle.server_memory", false}}},
	{"Idle users with TLS", "idle-tls", []column{{"KiB a user", "idle-tls.memory", false}, {"server MiB before", "idle-tls.server_memory", false}}},
	{"Messages that waited", "drain", []column{
		{"delivered/s", "drain.delivered", false}, {"server CPU s/1,000", "drain.server_cpu", false}, {"taken in, server CPU s/1,000", "drain.taken_in_cpu", false},
	}},
	{"Files of 1 MB", "blob", []column{
		{"PUT MB/s", "blob.put", false}, {"PUT server CPU s/GB", "blob.put_cpu", false}, {"GET MB/s", "blob.get", false}, {"GET server CPU s/GB", "blob.get_cpu", false},
	}},
}

// sideBySide are ours, the floor and the peers, a table for each figure. Behind a
// value stands how many times ours it is.
func sideBySide(b *strings.Builder, r results, rivals []bench.Rival) {
	b.WriteString("## Side by side\n\nIn brackets how many times ours it is.\n\n")
	for _, t := range besides {
		if _, ok := r.of(t.columns[0].value); !ok {
			continue
		}
		fmt.Fprintf(b, "### %s\n\n| server |", t.title)
		for _, c := range t.columns {
			fmt.Fprintf(b, " %s |", c.head)
		}
		b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(t.columns)) + "\n")
		row(b, r, "ours", "", t.columns)
		for _, one := range rivals {
			if slices.Contains(one.Figures(), t.figure) {
				row(b, r, one.Name(), one.Name()+"-", t.columns)
			}
		}
		b.WriteString("\n")
	}
}

func row(b *strings.Builder, r results, who, prefix string, columns []column) {
	fmt.Fprintf(b, "| %s |", who)
	for _, c := range columns {
		v, ok := r.pick(prefix+c.value, c.p99)
		ours, _ := r.pick(c.value, c.p99)
		switch {
		case !ok:
			b.WriteString(" |")
		case prefix == "" || ours <= 0:
			fmt.Fprintf(b, " %s |", number(v))
		default:
			fmt.Fprintf(b, " %s (%s) |", number(v), number(v/ours))
		}
	}
	b.WriteString("\n")
}

// whoTheyAre says what the peers are, how they were set, and which are missing.
func whoTheyAre(b *strings.Builder, rivals []bench.Rival, away []missing) {
	b.WriteString("### Who they are\n\nThe programs as their projects ship them, without TLS, with clients of this project on the same connection for everything. " +
		"A message is 1,024 random bytes, in base64 where the protocol is text, and the recipient acknowledges it.\n\n")
	for _, one := range rivals {
		if p, ok := one.(peerRival); ok {
			fmt.Fprintf(b, "- %s: %s.\n", p.Name(), p.About)
		}
	}
	for _, m := range away {
		fmt.Fprintf(b, "- %s: missing here (%s). `%s` installs it.\n", m.Name(), strings.Join(strings.Fields(m.why.Error()), " "), m.Install)
	}
	b.WriteString("\n")
}
