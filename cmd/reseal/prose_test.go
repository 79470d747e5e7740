package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// mentioned are commands in running text: in backticks in documents, in quotation
// marks in what the command itself says.
var (
	inBackticks = regexp.MustCompile("`(?:go run \\./cmd/)?reseal\\s+([^`]+)`")
	inQuotes    = regexp.MustCompile("\\\\?\"reseal ([^\"\\\\`]+)\\\\?\"")
)

// prose is every text that names commands, by file.
func prose(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for pattern, form := range map[string]*regexp.Regexp{
		"../../*.md": inBackticks, "../../docs/*.md": inBackticks, "../../deploy/*.md": inBackticks, "../../examples/*/*.md": inBackticks,
		"*.go": inQuotes, "../../*.go": inQuotes,
	} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range form.FindAllStringSubmatch(string(text), -1) {
				all[name] = append(all[name], m[1])
			}
		}
	}
	return all
}

// understands tells whether the command takes a line of prose: the command is
// there, its flags are, and where arguments are named their number is right.
func understands(root *cobra.Command, line string) error {
	var args []string
	for _, word := range strings.Fields(line) {
		if word = strings.Trim(word, "[]"); word != "..." {
			args = append(args, word)
		}
	}
	root.InitDefaultHelpCmd()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); errors.Is(err, pflag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	given := cmd.Flags().Args()
	if cmd == root && len(given) > 0 {
		return errors.New("no such command")
	}
	if len(given) > 0 {
		return cmd.ValidateArgs(given)
	}
	return nil
}

// TestProseNamesCommands: each command that a document, a help text or a hint
// names is there, with its flags.
func TestProseNamesCommands(t *testing.T) {
	tree := func() *cobra.Command { return (&cli{env: &newSurroundings(t, nil).env}).tree() }
	n := 0
	for name, lines := range prose(t) {
		for _, line := range lines {
			if err := understands(tree(), line); err != nil {
				t.Errorf("%s: reseal %s: %v", name, line, err)
			}
			n++
		}
	}
	if n < 80 {
		t.Errorf("only %d commands found in prose", n)
	}
	for _, wrong := range []string{"nonsense", "devices nonsense", "logout --nonsense", "admin nonsense", "open A B C"} {
		if understands(tree(), wrong) == nil {
			t.Errorf("reseal %s passes", wrong)
		}
	}
}
