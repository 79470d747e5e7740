//go:build linux || darwin || freebsd

package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func init() { programs["reseal-small"] = small }

// small is the command on a disk without room: no file grows beyond the first
// argument, in bytes. The kernel says so to each write, wherever in the program
// it is; reading, and what is there already, are as ever.
func small() {
	limit, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: limit})
	}
	if err != nil {
		panic(err)
	}
	os.Args = append(os.Args[:1], os.Args[2:]...)
	main()
}
