package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/reseal/reseal/internal/bench/process"
)

// startServer starts `reseal serve` on a port of its own choice, its clock ahead
// by an offset. What it writes to its standard error goes to the end of the file
// at log.
func startServer(ctx context.Context, command func(args ...string) *exec.Cmd, data, log string, offset time.Duration) (*process.Server, error) {
	args := []string{"serve", "--json", "--data", data, "--listen", "127.0.0.1:0"}
	if offset != 0 {
		args = append(args, "--clock-offset", fmt.Sprintf("%ds", int(offset.Seconds())))
	}
	cmd := command(args...)
	cmd.Env = without(os.Environ(), "RESEAL_")
	return process.Start(ctx, cmd, process.NoCore, log)
}

// address is the host and port of a server without TLS.
func address(s *process.Server) string { return strings.TrimPrefix(s.URL, "http://") }

func without(env []string, prefix string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, prefix) {
			kept = append(kept, v)
		}
	}
	return kept
}
