package wrap

import (
	"fmt"
	"sync"
	"testing"
)

func TestSealerRemembersABoundedNumber(t *testing.T) {
	alice, s := newDevice(t, "alice", "phone"), newSecret()
	sealer := NewSealer(alice.auth, 3)
	for i := range 10 {
		to := newDevice(t, "bob", fmt.Sprint(i))
		h := newHeader(alice, to.account, s.Digest)
		w, err := sealer.Seal(wrapContext(alice, to), to.epoch.Public(), to.auth.Public(), h, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Open(w, to.epoch, to.auth, alice.auth.Public(), h); err != nil || got != s {
			t.Fatal(err)
		}
		if n := min(i+1, 3); len(sealer.z) != n || len(sealer.order) != n {
			t.Fatalf("%d peers remembered after %d", len(sealer.z), i+1)
		}
		if sealer.z[to.auth.Public()] == nil {
			t.Fatal("the newest peer is not remembered")
		}
	}
}

func TestSealerWipes(t *testing.T) {
	alice, bob, s := newDevice(t, "alice", "phone"), newDevice(t, "bob", "phone"), newSecret()
	h := newHeader(alice, bob.account, s.Digest)
	sealer := NewSealer(bob.auth, 0)
	w := mustSeal(t, alice, bob, h, s)
	open := func() {
		t.Helper()
		if got, err := sealer.Open(w, bob.epoch, alice.auth.Public(), h); err != nil || got != s {
			t.Fatal(err)
		}
	}
	open()
	z := sealer.z[alice.auth.Public()]
	if *z == ([32]byte{}) {
		t.Fatal("z was not remembered, or is zero while in use")
	}
	sealer.Wipe()
	if *z != ([32]byte{}) || len(sealer.z) != 0 {
		t.Fatal("z outlives Wipe")
	}
	open()
}

// Many goroutines share a Sealer that keeps fewer peers than there are, so that
// secrets are dropped while others use them.
func TestSealerConcurrently(t *testing.T) {
	alice, s := newDevice(t, "alice", "phone"), newSecret()
	sealer := NewSealer(alice.auth, 2)
	var wg sync.WaitGroup
	for g := range 6 {
		to := newDevice(t, "bob", fmt.Sprint(g%4))
		wg.Go(func() {
			h := newHeader(alice, to.account, s.Digest)
			for range 10 {
				w, err := sealer.Seal(wrapContext(alice, to), to.epoch.Public(), to.auth.Public(), h, s)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := Open(w, to.epoch, to.auth, alice.auth.Public(), h); err != nil || got != s {
					t.Error("a dropped secret was used:", err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkSeal(b *testing.B) {
	alice, bob, s := newDevice(b, "alice", "phone"), newDevice(b, "bob", "phone"), newSecret()
	h, ctx, to, toAuth := newHeader(alice, bob.account, s.Digest), wrapContext(alice, bob), bob.epoch.Public(), bob.auth.Public()
	sealer := NewSealer(alice.auth, 0)
	b.Run("fresh z", func(b *testing.B) {
		for b.Loop() {
			if _, err := Seal(ctx, to, toAuth, alice.auth, h, s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("remembered z", func(b *testing.B) {
		for b.Loop() {
			if _, err := sealer.Seal(ctx, to, toAuth, h, s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	alice, bob, s := newDevice(b, "alice", "phone"), newDevice(b, "bob", "phone"), newSecret()
	h := newHeader(alice, bob.account, s.Digest)
	w, from := mustSeal(b, alice, bob, h, s), alice.auth.Public()
	sealer := NewSealer(bob.auth, 0)
	b.Run("fresh z", func(b *testing.B) {
		for b.Loop() {
			if _, err := Open(w, bob.epoch, bob.auth, from, h); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("remembered z", func(b *testing.B) {
		for b.Loop() {
			if _, err := sealer.Open(w, bob.epoch, from, h); err != nil {
				b.Fatal(err)
			}
		}
	})
}
