//go:build !windows

package fault

import "syscall"

var (
	refusedErrors     = []syscall.Errno{syscall.ECONNREFUSED}
	unreachableErrors = []syscall.Errno{syscall.EHOSTUNREACH, syscall.ENETUNREACH}
	resetErrors       = []syscall.Errno{syscall.ECONNRESET, syscall.EPIPE}
)
