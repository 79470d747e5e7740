package reseal

import (
	"testing"
	"testing/synctest"
	"time"
)

// An effect that came out again while it was under way is begun again where it
// gave up, and is not where it was answered.
func TestFlightsThatGiveUpGoAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers bool
		want    int
	}{{"gave up", false, 2}, {"answered", true, 1}} {
		t.Run(c.name, func(t *testing.T) {
			var fs flights
			under, again := make(chan struct{}), make(chan struct{})
			began := make(chan struct{}, 8)
			f := func(answered func()) {
				began <- struct{}{}
				under <- struct{}{}
				<-again
				if c.answers {
					answered()
				}
			}
			fs.begin("send", f)
			<-under
			second := func(answered func()) { began <- struct{}{}; answered() }
			fs.begin("send", second)
			fs.begin("send", second) // once, however often it came out
			close(again)
			fs.wg.Wait()
			if got := len(began); got != c.want || !fs.quiet() || len(fs.byKey) != 0 {
				t.Fatalf("begun %d times, want %d; quiet %v, keys %v", got, c.want, fs.quiet(), fs.byKey)
			}
		})
	}
}

// What an answer calls for next has a key of its own right: the end of the
// one before does not free it, and nothing counts as quiet in between.
func TestAFlightFreesOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs flights
		second, third := make(chan struct{}), false
		fs.begin("send", func(answered func()) {
			answered()
			fs.begin("send", func(func()) { <-second })
			if fs.quiet() {
				t.Error("quiet between an answer and what follows")
			}
		})
		synctest.Wait() // the first is over
		fs.begin("send", func(answered func()) { third = true })
		synctest.Wait()
		if third || fs.quiet() {
			t.Error("two with one key")
		}
		go func() { time.Sleep(time.Second); close(second) }()
		fs.end()
		if third || !fs.quiet() {
			t.Error("begun after the end")
		}
	})
}
