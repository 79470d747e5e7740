package reseal_test

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reseal/reseal"
)

// child is a process of lifeOfSecrets.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

// step lets the process go on, and returns what it tells until it waits again.
func (c *child) step(lines ...string) (told [][]byte, names []string) {
	c.t.Helper()
	for _, l := range lines {
		if _, err := io.WriteString(c.in, l+"\n"); err != nil {
			c.t.Fatal(err)
		}
	}
	for c.out.Scan() {
		masked, name, ok := strings.Cut(c.out.Text(), " ")
		if !ok {
			return told, names
		}
		b, err := hex.DecodeString(masked)
		if err != nil {
			c.t.Fatal(c.out.Text())
		}
		for i := range b {
			b[i] ^= mask
		}
		told, names = append(told, b), append(names, name)
	}
	c.t.Fatal("the process ended")
	return nil, nil
}

// found counts where each needle lies in the memory of the process, as a
// debugger of the same user would read it.
func (c *child) found(needles [][]byte, names []string) map[string]int {
	c.t.Helper()
	pid := c.cmd.Process.Pid
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		c.t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		c.t.Fatal(err)
	}
	defer mem.Close()
	n, total := map[string]int{}, int64(0)
	for l := range strings.Lines(string(maps)) {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(l, "%x-%x %s", &from, &to, &mode); err != nil {
			c.t.Fatal(l, err)
		}
		if mode[0] != 'r' || strings.Contains(l, "[v") { // vvar and the like: the kernel's
			continue
		}
		b := make([]byte, to-from)
		got, err := mem.ReadAt(b, int64(from))
		if err != nil && got == 0 {
			c.t.Logf("not readable: %s", strings.TrimSpace(l))
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			c.t.Logf("read %d of %d: %s", got, len(b), strings.TrimSpace(l))
		}
		total += int64(got)
		for i, s := range needles {
			for at := 0; ; {
				j := bytes.Index(b[at:got], s)
				if j < 0 {
					break
				}
				n[names[i]]++
				if testing.Verbose() {
					c.t.Logf("%s at %x of %s, after %x", names[i], from+uint64(at+j), strings.TrimSpace(l), b[max(0, at+j-48):at+j])
				}
				at += j + 1
			}
		}
	}
	if total < 1<<20 {
		c.t.Fatalf("%d bytes of memory read", total)
	}
	return n
}

// hidden names memory of a process that a debugger cannot read, so that the
// process has to show it itself.
const hidden = "hidden memory"

// tellHidden tells the pages of memfd_secret that this process has. The kernel
// gives them to nobody but their owner, by a system call that copies.
func tellHidden(tell func(name string, b []byte)) error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	defer from.Close()
	defer to.Close()
	for l := range strings.Lines(string(maps)) {
		var at, end uintptr
		if !strings.Contains(l, "/secretmem") {
			continue
		}
		if _, err := fmt.Sscanf(l, "%x-%x", &at, &end); err != nil {
			return err
		}
		for ; at < end; at += 4096 {
			if n, _, errno := unix.Syscall(unix.SYS_WRITE, to.Fd(), at, 4096); n != 4096 {
				return fmt.Errorf("%d bytes: %w", n, errno)
			}
			b := make([]byte, 4096)
			if _, err := io.ReadFull(from, b); err != nil {
				return err
			}
			tell(hidden, b)
			clear(b)
		}
	}
	return nil
}

// apart takes what a process told of its hidden memory out of its secrets.
func apart(told [][]byte, names []string) (needles [][]byte, of []string, pages [][]byte) {
	for i, b := range told {
		if names[i] == hidden {
			pages = append(pages, b)
			continue
		}
		needles, of = append(needles, b), append(of, names[i])
	}
	return needles, of, pages
}

// among counts the needles in pages.
func among(pages, needles [][]byte, names []string) map[string]int {
	n := map[string]int{}
	for _, p := range pages {
		for i, s := range needles {
			if c := bytes.Count(p, s); c > 0 {
				n[names[i]] += c
			}
		}
	}
	return n
}

// sectionKeys are the keys that each slot of the file has if it is the one that
// is sealed under a server share (spec/shares.md, section 4).
func sectionKeys(t *testing.T, home string, server []byte) (all [][]byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(home, "vault"))
	if err != nil {
		t.Fatal(err)
	}
	size := 1 << b[15]
	for at := 32; at < len(b); at += size {
		nonce, id, local := b[at:at+32], b[at+64:at+80], b[at+80:at+112]
		info := "reseal/1 database key" + string(nonce) + string(id)
		db, err := hkdf.Key(sha256.New, slices.Concat(local, server), nil, info, 32)
		if err != nil {
			t.Fatal(err)
		}
		for _, purpose := range []string{"section content", "journal frame", "journal mark"} {
			k, err := hkdf.Expand(sha256.New, db, "reseal/1 "+purpose, 32)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, k)
		}
	}
	return all
}

// TestNoKeysAfterLogout reads the whole memory of a process before its account
// logs out, and after. What the runtime does meanwhile may keep a copy by chance
// (SECURITY.md), so that a secret fails the test which is left in each of three
// processes.
func TestNoKeysAfterLogout(t *testing.T) {
	var left map[string]int
	for try := range 3 {
		now := leftAfterLogout(t)
		for name := range left {
			if now[name] == 0 {
				delete(left, name)
			}
		}
		if try == 0 {
			left = now
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("left after each logout: %v", left)
}

// leftAfterLogout counts the copies of each secret that a process has left.
func leftAfterLogout(t *testing.T) map[string]int {
	t.Helper()
	w := newWorld(t)
	_, bob := w.signUp("bob")
	pass := "words " + rand.Text() // not in the binary
	home := t.TempDir() + "/home"
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RESEAL_TEST_HOME="+home)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	c := &child{t, cmd, in, bufio.NewScanner(out)}
	go func() {
		for { // until ana is there
			if _, err := bob.Send(ctx(t), reseal.Outgoing{To: []string{"ana"}, Text: "hello", Policy: reseal.Keep}); err == nil || ctx(t).Err() != nil {
				return
			}
		}
	}()
	needles, names, pages := apart(c.step(w.url, pass, "bob"))
	for _, k := range sectionKeys(t, home, needles[slices.Index(names, "server share")]) {
		needles, names = append(needles, k), append(names, "section key")
	}
	before := c.found(needles, names)
	t.Log("before:", before)
	// While it is logged in it has these, and what garbage has of the others. What
	// lies in locked memory may not be readable at all.
	for _, name := range []string{"canary", "password", "device key"} {
		if before[name] == 0 {
			t.Errorf("before logout, no %s is found: the search proves nothing", name)
		}
	}
	if len(before) < 6 {
		t.Errorf("before logout, only %d kinds of secrets are found", len(before))
	}
	// What nobody else can read is in there, where the kernel has such memory, and
	// gone at once with the logout.
	locked := among(pages, needles, names)
	t.Logf("before, in %d hidden pages: %v", len(pages), locked)
	if len(pages) > 0 && (locked["section key"] == 0 || locked["server share"] == 0) {
		t.Errorf("before logout, in hidden memory: %v: the search proves nothing", locked)
	}
	_, _, pages = apart(c.step(""))
	if left := among(pages, needles, names); len(left) > 0 {
		t.Errorf("after logout, in hidden memory: %v", left)
	}
	// It takes a moment: goroutines end, and the garbage of each is overwritten.
	var after map[string]int
	for end := time.Now().Add(8 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		if after = c.found(needles, names); len(after) == 0 || time.Now().After(end) {
			break
		}
	}
	t.Log("after:", after)
	return after
}
