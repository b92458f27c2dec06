package console

// isWritableFolder reports whether a file can be made next to path. On Windows
// this is assumed; then SQLite reports it.
func isWritableFolder(string) bool { return true }
