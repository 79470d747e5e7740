package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// openSpecial makes a FILE that means something else in another process the
// standard input of this command: "/dev/stdin" and what a shell writes for
// <(...) are descriptors of the process that they were typed in, and the command
// may run in another, whose descriptors are its client database. Pipes come
// along, since only one process should begin to read them.
func (c *cli) openSpecial(file *string, f *sendFlags) (done func(), err error) {
	done = func() {}
	if *file == "" || *file == "-" {
		return done, nil
	}
	path := c.path(*file)
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || (info.Mode().IsRegular() && !special(path)) {
		return done, nil // what is wrong with it is told where it is read
	}
	if c.owner != nil {
		return nil, usagef("write it as \"-\", from standard input", "%s is no regular file", *file)
	}
	at := slices.Index(c.args, *file)
	if f.text == "-" || slices.Contains(c.args[at+1:], *file) {
		return nil, usagef("send it as \"-\"", "%s is no regular file", *file)
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	c.args = slices.Clone(c.args)
	c.args[at], *file, c.stdin = "-", "-", in
	return func() { _ = in.Close() }, nil
}

// special tells whether a name leads through the descriptors of a process.
func special(path string) bool {
	for range 40 { // as many links as systems follow
		folder, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return false
		}
		if strings.HasPrefix(folder+"/", "/proc/") || strings.HasPrefix(folder+"/", "/dev/") {
			return true
		}
		path = filepath.Join(folder, filepath.Base(path))
		next, err := os.Readlink(path)
		if err != nil {
			return false
		}
		if path = next; !filepath.IsAbs(path) {
			path = filepath.Join(folder, next)
		}
	}
	return false
}
