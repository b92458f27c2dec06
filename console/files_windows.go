package console

// nonBlocking is 0: Windows has no FIFOs in folders.
const nonBlocking = 0

// isWritableFolder reports whether a file can be made next to path. On Windows
// this is assumed; then SQLite reports it.
func isWritableFolder(string) bool { return true }
