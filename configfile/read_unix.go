//go:build unix

package configfile

import "golang.org/x/sys/unix"

// nonBlocking is the flag with which opening a FIFO does not wait.
const nonBlocking = unix.O_NONBLOCK
