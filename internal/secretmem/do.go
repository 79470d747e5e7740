//go:build !goexperiment.runtimesecret

package secretmem

import "runtime"

// Erasing tells whether the build erases what Do leaves, by itself.
const Erasing = false

// Do runs f, which handles secrets, so that nothing of it stays on the stack of
// the caller, who may be a goroutine that lives as long as the process: f has a
// stack of its own, that Scrub clears once f is over. A panic of f is the
// caller's. What f allocates is for Scrub, too; in a build with
// GOEXPERIMENT=runtimesecret the runtime erases both.
func Do(f func()) {
	over := make(chan any)
	go func() {
		ended := false
		defer func() {
			switch p := recover(); {
			case p != nil:
				over <- p
			case !ended:
				over <- exit{}
			default:
				clearStack()
				over <- nil
			}
		}()
		f()
		ended = true
	}()
	switch p := (<-over).(type) {
	case nil:
	case exit:
		runtime.Goexit()
	default:
		panic(p)
	}
}

// exit: f ended its goroutine.
type exit struct{}
