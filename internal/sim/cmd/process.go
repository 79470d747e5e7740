package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// kept is how many bytes of what a process says are kept: it shows the least of
// each life that broke, and ends after some.
const kept = 4 << 20

var (
	// hash is what the simulator says when a life ended.
	hash = regexp.MustCompile(`^trace of seed (\d+): `)
	// again is how it names a life that broke.
	again = regexp.MustCompile(`-sim\.seed (\d+)\b`)
)

// ended is how a process ended.
type ended struct {
	last uint64 // the last life that it played to its end
	said string
}

// process plays the lives of a span in one process. It has one core: another
// process has the next one. The error is what [exec.Cmd.Wait] returns.
func (p *pool) process(ctx context.Context, s span) (ended, error) {
	e := ended{last: s.first - 1}
	args := append([]string{
		"-test.run", "^TestLives$", "-test.timeout", "0", "-sim.hashes",
		"-sim.first", strconv.FormatUint(s.first, 10), "-sim.seeds", strconv.FormatUint(s.n, 10),
	}, p.args...)
	cmd := exec.CommandContext(ctx, p.bin, args...)
	cmd.Dir = p.dir
	cmd.Env = append(slices.Clone(os.Environ()), "GOMAXPROCS=1")
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		return e, err
	}
	wait := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		in.Close()
		wait <- err
	}()
	var said strings.Builder
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if m := hash.FindStringSubmatch(line); m != nil {
			seed, err := strconv.ParseUint(m[1], 10, 64)
			if err == nil && seed > e.last {
				e.last = seed
				p.count()
			}
		} else if said.Len()+len(line) <= kept {
			said.WriteString(line)
		}
		if err != nil {
			break
		}
	}
	e.said = said.String()
	return e, <-wait
}

// found are the seeds of the lives that the process says broke.
func (e ended) found() (seeds []uint64) {
	for _, m := range again.FindAllStringSubmatch(e.said, -1) {
		seed, err := strconv.ParseUint(m[1], 10, 64)
		if err == nil && !slices.Contains(seeds, seed) {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

// gaveUp tells whether the process ended by itself after some lives that broke.
func (e ended) gaveUp() bool { return strings.Contains(e.said, "and so on") }

// unwilling tells whether the process did not take its flags.
func (e ended) unwilling() bool {
	return strings.Contains(e.said, "flag provided but not defined") || strings.Contains(e.said, "invalid value")
}

// complete is an error if a process that ended well has not played all lives.
func (e ended) complete(s span) error {
	if e.last+1 != s.end() {
		return fmt.Errorf("seeds %d to %d: the process ended after seed %d\n%s", s.first, s.end()-1, e.last, e.said)
	}
	return nil
}
