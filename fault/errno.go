package fault

import (
	"errors"
	"syscall"
)

// isAny reports whether err is one of the system's errors.
func isAny(err error, all []syscall.Errno) bool {
	for _, errno := range all {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
