package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/reseal/reseal/bench/peers"
	"github.com/reseal/reseal/internal/bench"
)

// peerRival is a peer whose program was found. Its process is this program until
// the settings are written.
type peerRival struct {
	*peers.Peer
	program string
}

func (p peerRival) Command(folder, _, _ string) *exec.Cmd {
	return self("peer", p.Name(), p.program, folder)
}

// servePeer becomes the server of a peer.
func servePeer(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("peer NAME PROGRAM FOLDER")
	}
	p := peers.Named(args[0])
	if p == nil {
		return fmt.Errorf("no peer %q", args[0])
	}
	return p.Exec(args[1], args[2])
}

func peerNames() (all []string) {
	for _, p := range peers.All() {
		all = append(all, p.Name())
	}
	return all
}

// missing is a peer that could not be measured.
type missing struct {
	*peers.Peer
	why error
}

// rivals are the floor and the peers that are on this machine; away those that
// are not.
func (o options) rivals(ctx context.Context) (there []bench.Rival, away []missing, err error) {
	for _, name := range o.peers {
		if !slices.Contains(peerNames(), name) {
			return nil, nil, fmt.Errorf("no peer %q; there are %s", name, strings.Join(peerNames(), ", "))
		}
	}
	there = []bench.Rival{floorRival{}}
	for _, p := range peers.All() {
		if !slices.Contains(o.peers, p.Name()) {
			continue
		}
		program, err := p.Find(ctx)
		if err != nil {
			away = append(away, missing{p, err})
			continue
		}
		there = append(there, peerRival{p, program})
	}
	return there, away, nil
}
