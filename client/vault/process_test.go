package vault_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/reseal/reseal/client/vault"
)

// TestMain is also the process that is killed.
func TestMain(m *testing.M) {
	if home := os.Getenv("RESEAL_TEST_HOME"); home != "" {
		if err := commitForEver(home); err != nil {
			fmt.Println(err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// commitForEver tells the number of each commit once it is acknowledged.
func commitForEver(home string) error {
	v, err := vault.Open(home, vault.Options{})
	if err != nil {
		return err
	}
	w := newWorld(nil, "alice")
	w.v = v
	a := w.users[0]
	if err := first(func() error { return w.create(a) }, func() error { return w.save(a) }); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := a.commit(fmt.Sprintf("n/%06d=x", i)); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// TestKilled kills a real process while it commits. The lock is free at once,
// and a restart with the session record has every acknowledged commit.
func TestKilled(t *testing.T) {
	home := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RESEAL_TEST_HOME="+home)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	last := -1
	for lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			t.Fatal(lines.Text())
		}
		if last == 20 {
			_, err := vault.Open(home, vault.Options{})
			wantErr(t, err, vault.ErrBusy)
		}
		if last == 50 {
			must(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
	v, err := vault.Open(home, vault.Options{})
	must(t, err)
	sessions, err := v.Sessions()
	must(t, err)
	s, err := v.Resume(sessions[0], vault.SessionShare{7})
	must(t, err)
	n := 0
	for range s.Range("n/") {
		n++
	}
	if n < last+1 || n > last+2 {
		t.Errorf("%d records, %d acknowledged", n, last+1)
	}
	must(t, s.Lock())
	must(t, v.Close())
}
