package secretmem

import (
	"runtime"
	"testing"
)

func TestDoPassesOn(t *testing.T) {
	n := 0
	Do(func() { n++ })
	if n != 1 {
		t.Fatalf("ran %d times", n)
	}
	func() {
		defer func() {
			if p := recover(); p != "why" {
				t.Errorf("panic %v", p)
			}
		}()
		Do(func() { panic("why") })
		t.Error("the panic is lost")
	}()
	over, after := make(chan struct{}), false
	go func() {
		defer close(over)
		Do(runtime.Goexit)
		after = true
	}()
	<-over
	if after {
		t.Error("a goroutine that was to end went on")
	}
}

// What is still in use stays as it is.
func TestScrubKeepsWhatIsUsed(t *testing.T) {
	kept := make([][]byte, 1000)
	for i := range kept {
		kept[i] = make([]byte, 1+i%300)
		for j := range kept[i] {
			kept[i][j] = byte(i)
		}
		_ = make([]byte, 1+i%300)
	}
	Scrub()
	for i, b := range kept {
		for _, c := range b {
			if c != byte(i) {
				t.Fatalf("object %d was changed", i)
			}
		}
	}
}

func BenchmarkScrub(b *testing.B) {
	for b.Loop() {
		Scrub()
	}
}
