package terminal

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestForeignTextCannotDriveTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                   "plain",
		"two\nlines\tand a tab":   "two lines and a tab",
		"\x1b[2J\x1b]0;title\x07": "\ufffd[2J\ufffd]0;title\ufffd",
		"\u009b31mred":            "\ufffd31mred",
		"a\rb":                    "a\ufffdb",
		"\u202egpj.exe":           "\ufffdgpj.exe",
		"bad \xff":                "bad \ufffd",
		"para\u2029graph":         "para graph",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := Text("a\r\nb\tc\x1b[H\n"), "a\nb\tc\ufffd[H\n"; got != want {
		t.Errorf("Text = %q, want %q", got, want)
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1499: "1.5 kB", 9_949: "9.9 kB", 9_960: "10 kB", 999_960: "1.0 MB", 5_000_000_000: "5.0 GB",
		1<<64 - 1: "18 EB",
	} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "now", 500 * time.Millisecond: "now", 5 * time.Second: "in 5 s", -90 * time.Second: "90 s ago",
		-119 * time.Minute: "119 min ago", 47 * time.Hour: "in 47 h", 30 * 24 * time.Hour: "in 30 d",
	} {
		if got := When(now.Add(d), now); got != want {
			t.Errorf("When(%v) = %q, want %q", d, got, want)
		}
	}
	if got := When(time.Time{}, now); got != "never" {
		t.Errorf("When(zero) = %q", got)
	}
}

func TestTable(t *testing.T) {
	tab := Table{Head: []string{"name", ">size", "note"}}
	tab.Add("日本", "5 B", "")
	tab.Add("abcdef", "1000 kB", Style(true).Red("x"))
	var b bytes.Buffer
	if err := tab.Write(&b, false); err != nil {
		t.Fatal(err)
	}
	want := "name       size  note\n日本        5 B\nabcdef  1000 kB  \x1b[31mx\x1b[0m\n"
	if b.String() != want {
		t.Errorf("got\n%q, want\n%q", b.String(), want)
	}
	b.Reset()
	if err := (&Table{Head: []string{"a"}}).Write(&b, false); err != nil || b.Len() > 0 {
		t.Errorf("an empty table wrote %q, %v", b.String(), err)
	}
	if got := Style(false).Bold("x"); got != "x" {
		t.Errorf("no colours, and yet %q", got)
	}
	if got := Cut("日本語", 4); got != "日…" {
		t.Errorf("Cut = %q", got)
	}
}

func TestQR(t *testing.T) {
	code := QR("012345678901234567890123456789012345678901234567890123456789")
	lines := strings.Split(strings.TrimSuffix(code, "\n"), "\n")
	for i, l := range lines {
		if Columns(l) != Columns(lines[0]) {
			t.Fatalf("line %d has another width", i)
		}
	}
	// Square: two modules to a character in height, one in width.
	if w, h := Columns(lines[0]), 2*len(lines); w != h && w != h-1 {
		t.Errorf("%d by %d", w, h)
	}
	if QR(strings.Repeat("x", 5000)) != "" {
		t.Error("too long a text has a code")
	}
}

func TestReadLine(t *testing.T) {
	r := strings.NewReader("first\r\nsecond\nlast")
	for _, want := range []string{"first", "second", "last"} {
		if got, err := ReadLine(r); err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	if _, err := ReadLine(r); err == nil {
		t.Error("a line after the end")
	}
	if _, err := ReadLine(strings.NewReader(strings.Repeat("x", maxAnswer+1))); err == nil {
		t.Error("too long a line was read")
	}
}

// locked is a buffer for several goroutines.
type locked struct {
	mu   sync.Mutex
	b    bytes.Buffer
	over bool
	late int
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		l.late++
	}
	return l.b.Write(p)
}

func TestBars(t *testing.T) {
	var out locked
	b := NewBars(&out, 60)
	b.Report("read", 10, 0)
	for i := range uint64(5) {
		b.Report("seal", i*1000, 5000)
		time.Sleep(60 * time.Millisecond)
	}
	b.Report("upload", 5000, 5000)
	b.Stop()
	out.mu.Lock()
	out.over = true
	text := out.b.String()
	out.mu.Unlock()
	b.Report("upload", 1, 2)
	b.Stop()
	if !strings.Contains(text, "seal") || !strings.Contains(text, "kB") {
		t.Errorf("no bar in %q", text)
	}
	time.Sleep(200 * time.Millisecond)
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.late > 0 {
		t.Errorf("%d writes after Stop", out.late)
	}
	var none *Bars
	none.Report("x", 1, 2)
	none.Stop()
}
