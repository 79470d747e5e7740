//go:build linux || darwin || freebsd

package main

import (
	"flag"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var stopped = flag.Duration("stopped", 2*time.Second, "how long TestStopped stops processes; commands give up after 15 s without a server, and 20 s without their owner")

// A server, a process that owns a home, or both are stopped for a while under
// load (Ctrl-Z, a suspended machine): no command hangs, those that give up say
// why, nothing is lost or doubled, and calls go on afterwards.
func TestStopped(t *testing.T) {
	l := &load{machine: newMachine(t), people: []string{"ana", "ben"}}
	for _, who := range l.people {
		l.does(nil, who, "signup", who)
	}
	agent := l.typed("ana", "agent")
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = agent.Process.Kill(); _ = agent.Wait() }()
	awaitEvent(t, out, "ready")
	var senders sync.WaitGroup
	for at := range l.people {
		senders.Go(func() { l.send(at) })
	}
	defer senders.Wait()
	defer l.stop.Store(true)
	server := l.server.Process
	for _, c := range []struct {
		what string
		who  []*os.Process
		// errors that commands of ana and of ben may end with
		ana, ben []string
	}{
		{"the server", []*os.Process{server}, []string{"offline", "timeout"}, []string{"offline", "timeout"}},
		{"the owner", []*os.Process{agent.Process}, []string{"busy"}, nil},
		{"both", []*os.Process{server, agent.Process}, []string{"busy"}, []string{"offline", "timeout"}},
	} {
		l.during(c.what, c.who, map[string][]string{"ana": c.ana, "ben": c.ben})
		enough := l.acked.Load() + 4
		l.until("messages after a stop of "+c.what, func() bool { return l.acked.Load() >= enough })
		for _, who := range l.people {
			l.does(nil, who, "status")
		}
	}
	l.stop.Store(true)
	senders.Wait()
	t.Logf("%d messages, %d acknowledged", len(l.sent), l.acked.Load())
	l.settled()
	l.check()
}

// during stops processes, has everybody look into the inbox meanwhile, and lets
// the processes go on.
func (l *load) during(what string, who []*os.Process, may map[string][]string) {
	l.t.Helper()
	l.signal(who, syscall.SIGSTOP)
	for _, p := range who { // the signal itself does not wait
		if _, err := syscall.Wait4(p.Pid, nil, syscall.WUNTRACED, nil); err != nil {
			l.t.Fatal(err)
		}
	}
	began := time.Now()
	var looks sync.WaitGroup
	for person, errors := range may {
		looks.Go(func() {
			r := l.at(person, "inbox")
			var e told
			switch {
			case r.code == exitDone:
				if len(errors) > 0 && time.Since(began) < *stopped { // before they go on
					l.t.Errorf("%s is stopped, and %s is answered: %s", what, person, r)
				}
			case r.code != exitFailed || decode(r.out, &e) != nil || !slices.Contains(errors, e.Error) || e.Hint == "":
				l.t.Errorf("%s is stopped, and %s is told: %s", what, person, r)
			default:
				l.t.Logf("%s is stopped, and %s is told after %v: %s", what, person, time.Since(began).Round(time.Second), strings.TrimSpace(r.err))
			}
		})
	}
	time.Sleep(*stopped)
	l.signal(who, syscall.SIGCONT)
	looks.Wait()
}

func (l *load) signal(who []*os.Process, s syscall.Signal) {
	l.t.Helper()
	for _, p := range who {
		if err := p.Signal(s); err != nil {
			l.t.Fatal(err)
		}
	}
}
