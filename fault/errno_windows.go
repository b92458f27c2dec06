package fault

import "syscall"

// The errors of Winsock (winsock2.h), which package syscall does not map to
// those of Unix.
var (
	refusedErrors     = []syscall.Errno{10061}                  // WSAECONNREFUSED
	unreachableErrors = []syscall.Errno{10065, 10051}           // WSAEHOSTUNREACH, WSAENETUNREACH
	resetErrors       = []syscall.Errno{10054, 10053, 109, 232} // WSAECONNRESET, WSAECONNABORTED, ERROR_BROKEN_PIPE, ERROR_NO_DATA
)
