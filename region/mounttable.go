package region

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/prometheus/procfs"
)

type mountInfo = procfs.MountInfo

// A mountTable is the mounts of a process. To parse them is most of the work of
// a look, and the more so the more containers there are; so it is done only
// when their text is another one. The kernel's own notice of a change
// (proc_pid_mounts(5)) would not do: there is none when a file system turns
// read-only by itself.
type mountTable struct {
	procfs string // "" stands for our own process

	mu   sync.Mutex
	text []byte
	all  []*mountInfo
	from int // how often it has been parsed
}

// read returns the mounts, which are shared and not to be changed, and a number
// that is another one when they are others.
func (t *mountTable) read() (all []*mountInfo, generation int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, err := mountinfo(t.procfs)
	if err != nil {
		return nil, 0, err
	}
	if t.from > 0 && bytes.Equal(text, t.text) {
		return t.all, t.from, nil
	}
	// The parser reads for itself, maybe later mounts than those of the text:
	// the next reading finds out.
	if t.all, err = mounts(t.procfs); err != nil {
		return nil, 0, err
	}
	t.text = text
	t.from++
	return t.all, t.from, nil
}

// mountinfo is the text of what mounts reads.
func mountinfo(procfs string) ([]byte, error) {
	if procfs == "" {
		return os.ReadFile("/proc/self/mountinfo")
	}
	text, err := os.ReadFile(filepath.Join(procfs, "1", "mountinfo"))
	if errors.Is(err, os.ErrNotExist) {
		return os.ReadFile(filepath.Join(procfs, "self", "mountinfo"))
	}
	return text, err
}

// mounts reads the mounts that node_exporter reads: those of the first process
// of that procfs, or the reader's own where the first is hidden. No path means
// our own.
func mounts(path string) ([]*mountInfo, error) {
	if path == "" {
		fs, err := procfs.NewDefaultFS()
		if err != nil {
			return nil, err
		}
		return fs.GetMounts()
	}
	fs, err := procfs.NewFS(path)
	if err != nil {
		return nil, err
	}
	all, err := fs.GetProcMounts(1)
	if errors.Is(err, os.ErrNotExist) {
		return fs.GetMounts()
	}
	return all, err
}
