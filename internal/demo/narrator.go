package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/reseal/reseal/internal/terminal"
)

// columns is how long a line gets at most.
const columns = 110

// indent is where the text of a step begins.
const indent = 15

// narrator tells what happens, to people or to scripts.
type narrator struct {
	out   io.Writer
	json  bool
	live  bool // a terminal: the step that is under way is shown, too
	wide  int  // the terminal's columns
	style terminal.Style
	began time.Time

	chapters int
	title    string
	steps    int
	failed   int
	err      error // of writing
}

// result is what a step has to say beside whether it went well.
type result struct {
	detail string
	fields map[string]any
}

// say adds to the line of the step.
func (r *result) say(format string, args ...any) {
	if r.detail != "" {
		r.detail += ", "
	}
	r.detail += fmt.Sprintf(format, args...)
}

// set adds a field to the object of the step.
func (r *result) set(key string, v any) {
	if r.fields == nil {
		r.fields = map[string]any{}
	}
	r.fields[key] = v
}

func (n *narrator) write(s string) {
	if _, err := io.WriteString(n.out, s); err != nil && n.err == nil {
		n.err = err
	}
}

func (n *narrator) object(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("demo: internal error: " + err.Error())
	}
	n.write(string(b) + "\n")
}

// told is a step in --json.
type told struct {
	Step    string         `json:"step"`
	OK      bool           `json:"ok"`
	Chapter string         `json:"chapter"`
	Text    string         `json:"text"`
	Detail  string         `json:"detail,omitempty"`
	Error   string         `json:"error,omitempty"`
	At      float64        `json:"at"`
	Seconds float64        `json:"seconds"`
	More    map[string]any `json:"more,omitempty"`
}

// chapter begins a part of the story. The lead says what it is about.
func (n *narrator) chapter(title, lead string) {
	n.chapters++
	n.title = title
	if n.json {
		return
	}
	n.write("\n" + n.style.Bold(fmt.Sprintf("%2d  %s", n.chapters, title)) + "\n")
	for _, line := range wrap(lead, columns-4) {
		n.write("    " + n.style.Dim(line) + "\n")
	}
}

// doing shows the step that is under way, where it can be overwritten.
func (n *narrator) doing(text string) {
	if n.live && !n.json {
		line := "  ·" + strings.Repeat(" ", indent-3) + text + " …"
		// A line that is broken into two could not be overwritten.
		n.write(n.style.Dim(terminal.Cut(line, max(n.wide-1, 1))))
	}
}

// undo takes back what doing has shown.
func (n *narrator) undo() {
	if n.live && !n.json {
		n.write("\r\x1b[K")
	}
}

// step tells how a step went.
func (n *narrator) step(name, text string, r *result, took time.Duration, err error) {
	n.steps++
	if err != nil {
		n.failed++
	}
	at := time.Since(n.began)
	if n.json {
		o := told{Step: name, OK: err == nil, Chapter: n.title, Text: text, Detail: r.detail, At: seconds(at), Seconds: seconds(took), More: r.fields}
		if err != nil {
			o.Error = err.Error()
		}
		n.object(o)
		return
	}
	n.undo()
	mark := n.style.Green("✓")
	if err != nil {
		mark = n.style.Red("✗")
	}
	line := terminal.Cut(text, columns-indent)
	if left := columns - indent - terminal.Columns(line) - 2; r.detail != "" && left > 8 {
		line += "  " + n.style.Dim(terminal.Cut(r.detail, left))
	}
	n.write(fmt.Sprintf("  %s %s  %s\n", mark, n.style.Dim(fmt.Sprintf("%7.2f s", at.Seconds())), line))
	if err != nil {
		for _, l := range wrap(terminal.Text(err.Error()), columns-indent) {
			n.write(strings.Repeat(" ", indent) + n.style.Red(l) + "\n")
		}
	}
}

// lines are for people only.
func (n *narrator) lines(all ...string) {
	if n.json {
		return
	}
	for _, l := range all {
		n.write(l + "\n")
	}
}

// wrap breaks a text at spaces into lines of at most limit columns.
func wrap(text string, limit int) []string {
	var lines []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && terminal.Columns(line)+1+terminal.Columns(word) > limit {
				lines = append(lines, line)
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += terminal.Cut(word, limit)
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// seconds is a duration in JSON, to the millisecond.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// span is a short time for people: "85 ms", "1.2 s".
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(d, 0).Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return terminal.Span(d)
}
