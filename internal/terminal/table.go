package terminal

import (
	"io"
	"strings"
)

// Style writes colours, or nothing where it is off.
type Style bool

// The styles.
func (s Style) Bold(t string) string   { return s.put("1", t) }
func (s Style) Dim(t string) string    { return s.put("2", t) }
func (s Style) Red(t string) string    { return s.put("31", t) }
func (s Style) Green(t string) string  { return s.put("32", t) }
func (s Style) Yellow(t string) string { return s.put("33", t) }

func (s Style) put(code, t string) string {
	if !s || t == "" {
		return t
	}
	return "\x1b[" + code + "m" + t + "\x1b[0m"
}

// Table is rows of cells that are written aligned.
type Table struct {
	// Head names the columns. A column whose name begins with '>' is aligned
	// to the right.
	Head []string
	rows [][]string
}

// Add appends a row with as many cells as Head.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the head, if there are rows, and the rows.
func (t *Table) Write(w io.Writer, s Style) error {
	if len(t.rows) == 0 {
		return nil
	}
	right := make([]bool, len(t.Head))
	head := make([]string, len(t.Head))
	for i, h := range t.Head {
		head[i], right[i] = strings.CutPrefix(h, ">")
	}
	wide := make([]int, len(head))
	for _, row := range append([][]string{head}, t.rows...) {
		for i, cell := range row {
			wide[i] = max(wide[i], Columns(cell))
		}
	}
	var b strings.Builder
	line := func(row []string, style func(string) string) {
		var l strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", wide[i]-Columns(cell))
			if i > 0 {
				l.WriteString("  ")
			}
			if right[i] {
				l.WriteString(pad + style(cell))
			} else {
				l.WriteString(style(cell) + pad)
			}
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(head, s.Dim)
	for _, row := range t.rows {
		line(row, func(c string) string { return c })
	}
	_, err := io.WriteString(w, b.String())
	return err
}
