package configfile

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Read returns the content of a regular file of at most limit bytes. Expected
// describes it, for the error about another kind of file or a larger one.
func Read(path, expected string, limit int64) ([]byte, error) {
	file, err := Open(path, expected)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("has more than %d bytes; expected %s", limit, expected)}
	}
	return text, err
}

// Open opens a regular file. It never waits for the other end of a FIFO, and
// opens no device.
func Open(path, expected string) (*os.File, error) {
	if err := Regular(path, expected); err != nil {
		return nil, err
	}
	// What the path names may have changed since: nonBlocking opens a FIFO
	// without waiting.
	file, err := os.OpenFile(path, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = regular(path, info, expected)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// Regular returns an error that names what is at path, unless it is a regular
// file or cannot be examined. It is for files that a library opens; the library
// reports the other errors.
func Regular(path, expected string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil //nolint:nilerr // opening it fails as well
	}
	return regular(path, info, expected)
}

func regular(path string, info fs.FileInfo, expected string) error {
	kind := ""
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a FIFO"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	default:
		kind = "a special file"
	}
	return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("is %s; expected %s", kind, expected)}
}
