package opaque

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// held is what the heap has of the system's memory, bytes.
func held() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapSys - m.HeapReleased
}

// However many passwords are stretched at once or in a row, there is memory for
// one of them at a time, and afterwards for none.
func TestMemory(t *testing.T) {
	const one, rest = 64 << 20, 40 << 20
	f := world()
	login := func(pw []byte) {
		l, ke2, _ := start(t, alice, f.known(), pw)
		_, _ = l.Finish(ke2)
	}
	login(password)
	if n := held(); n > rest {
		t.Errorf("%d MiB are held after a login", n>>20)
	}
	login([]byte("another one"))
	if n := held(); n > rest {
		t.Errorf("%d MiB are held after a wrong password", n>>20)
	}

	var done atomic.Bool
	most := make(chan uint64)
	go func() {
		n := held()
		for !done.Load() {
			n = max(n, held())
			runtime.Gosched()
		}
		most <- n
	}()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { login(password) })
	}
	all.Wait()
	done.Store(true)
	if n := <-most; n > one+rest {
		t.Errorf("%d MiB are held while three log in, of which Argon2id takes 64", n>>20)
	}

	reg, request, err := StartRegistration(alice, password)
	if err != nil {
		t.Fatal(err)
	}
	response, err := f.server.Register(alice, request)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := reg.Finish(response); err != nil {
		t.Fatal(err)
	}
	if n := held(); n > rest {
		t.Errorf("%d MiB are held after a registration", n>>20)
	}
}
