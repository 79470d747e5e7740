package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// newErrorsHelp is the help topic with the closed list of errors.
func newErrorsHelp(*cli) *cobra.Command {
	var b strings.Builder
	b.WriteString(`Errors, exit codes and what to do

Exit code 0: done. 1: failed. 2: wrong use (error "usage").
With --json an error is the object {error, message, hint} on standard output.
error is one of:

`)
	for _, k := range kinds {
		what := k.message
		if what == "" {
			what = "(the message says which)"
		}
		b.WriteString("  " + k.code + strings.Repeat(" ", max(1, 17-len(k.code))) + what + "\n")
		if k.hint != "" {
			b.WriteString(strings.Repeat(" ", 19) + k.hint + "\n")
		}
	}
	return &cobra.Command{Use: "errors", Short: "The errors of all commands and what to do about them", Long: b.String()}
}
