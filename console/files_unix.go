//go:build unix

package console

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// isWritableFolder reports whether a file can be made next to path.
func isWritableFolder(path string) bool { return unix.Access(filepath.Dir(path), unix.W_OK) == nil }
