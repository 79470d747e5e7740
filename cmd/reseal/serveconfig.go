package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

const (
	// maxConfig bounds a config file, bytes.
	maxConfig = 64 << 10
	// configName is the one flag that a config file cannot set.
	configName = "config"
)

// notInFiles are flags that say what to do once, not how a server is.
var notInFiles = []string{configName, "check", "help", "json", "home", "server", "as", "wait"}

// pathFlags name files; in a config file they are relative to it.
var pathFlags = []string{"data", "key", "tls-cert", "tls-key"}

// listFlags may be said more than once.
var listFlags = []string{"limit", "quota", "acme-domain"}

// setting is one line of a config file.
type setting struct {
	name, value string
	line        int
}

// parseConfig reads lines of "name = value", with the names of the flags of
// serve. What begins with # is a comment.
func parseConfig(b []byte) ([]setting, error) {
	if len(b) > maxConfig {
		return nil, fmt.Errorf("more than %d bytes", maxConfig)
	}
	var all []setting
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxConfig+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		s := setting{strings.TrimSpace(name), strings.TrimSpace(value), n}
		switch {
		case !ok || s.name == "" || s.value == "":
			return nil, fmt.Errorf("line %d: not of the form \"name = value\"", n)
		case strings.ContainsFunc(s.name, func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }):
			return nil, fmt.Errorf("line %d: no such setting: %q", n, s.name)
		case seen[s.name] && !slices.Contains(listFlags, s.name):
			return nil, fmt.Errorf("line %d: %s is said twice", n, s.name)
		}
		seen[s.name] = true
		all = append(all, s)
	}
	return all, lines.Err()
}

// configure fills in flags that were not given: by RESEAL_* where that is set,
// else by the config file.
func (c *cli) configure(fl *pflag.FlagSet) error {
	given := map[string]bool{}
	fl.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	file := fl.Lookup(configName).Value.String()
	if file == "" {
		file = c.getenv(variable(configName))
	}
	var err error
	fl.VisitAll(func(f *pflag.Flag) {
		value := c.getenv(variable(f.Name))
		if given[f.Name] || value == "" || slices.Contains(notInFiles, f.Name) || err != nil {
			return
		}
		given[f.Name] = true
		if f.Name == "plain-http" {
			return // prepare has read it
		}
		values := []string{value}
		if slices.Contains(listFlags, f.Name) {
			values = strings.Split(value, ",")
		}
		for _, v := range values {
			if e := fl.Set(f.Name, strings.TrimSpace(v)); e != nil && err == nil {
				err = usagef("see \"reseal serve --help\"", "%s: %s", variable(f.Name), e.Error())
			}
		}
	})
	if err != nil || file == "" {
		return err
	}
	return c.configureFrom(fl, c.path(file), given)
}

// variable is how the environment names a flag: RESEAL_TLS_CERT.
func variable(flag string) string {
	return "RESEAL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (c *cli) configureFrom(fl *pflag.FlagSet, file string, given map[string]bool) error {
	wrong := func(format string, args ...any) error {
		return usagef(`a line is "name = value", with the names of "reseal serve --help"`, "%s: %s", file, fmt.Sprintf(format, args...))
	}
	r, err := os.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return err
	}
	all, err := parseConfig(b)
	if err != nil {
		return wrong("%v", err)
	}
	for _, s := range all {
		if fl.Lookup(s.name) == nil || slices.Contains(notInFiles, s.name) {
			return wrong("line %d: no such setting: %q", s.line, s.name)
		}
		if given[s.name] {
			continue
		}
		if slices.Contains(pathFlags, s.name) && !filepath.IsAbs(s.value) {
			s.value = filepath.Join(filepath.Dir(file), s.value)
		}
		if err := fl.Set(s.name, s.value); err != nil {
			return wrong("line %d: %s: %v", s.line, s.name, errors.Unwrap(err))
		}
	}
	return nil
}
