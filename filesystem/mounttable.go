package filesystem

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/procfs"
)

type mountInfo = procfs.MountInfo

// oneLook is how long a reading serves, for the questions of one look.
const oneLook = 50 * time.Millisecond

// A mountTable is the mounts of a process. To parse them is most of the work of
// a look, and the more so the more containers there are; so it is done only
// when their text is another one. The kernel's own notice of a change
// (proc_pid_mounts(5)) would not do: there is none when a file system turns
// read-only by itself.
type mountTable struct {
	procfs string // "" stands for our own process

	mu    sync.Mutex
	text  []byte
	spare []byte // for the next text
	all   []*mountInfo
	from  int // how often it has been parsed
	at    time.Time
}

// read returns the mounts, which are shared and not to be changed, and a number
// that is another one when they are others.
func (t *mountTable) read() (all []*mountInfo, generation int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.at) < oneLook {
		return t.all, t.from, nil
	}
	text, err := mountinfo(t.procfs, t.spare)
	if err != nil {
		return nil, 0, err
	}
	t.spare = text
	if t.from > 0 && bytes.Equal(text, t.text) {
		t.at = time.Now()
		return t.all, t.from, nil
	}
	// The parser reads for itself, maybe later mounts than those of the text:
	// the next reading finds out.
	if t.all, err = mounts(t.procfs); err != nil {
		return nil, 0, err
	}
	t.text, t.spare = text, t.text
	t.from++
	t.at = time.Now()
	return t.all, t.from, nil
}

// ourNamespace says whether the first process of a procfs sees the mounts that
// we see. If that cannot be known, it does not.
func ourNamespace(procfs string) bool {
	own, errOwn := os.Readlink("/proc/self/ns/mnt")
	first, errFirst := os.Readlink(filepath.Join(procfs, "1", "ns", "mnt"))
	return errOwn == nil && errFirst == nil && own == first
}

// mountinfo is the text of what mounts reads, in the memory of spare where that
// suffices.
func mountinfo(procfs string, spare []byte) ([]byte, error) {
	if procfs == "" {
		return readInto(spare, "/proc/self/mountinfo")
	}
	text, err := readInto(spare, filepath.Join(procfs, "1", "mountinfo"))
	if errors.Is(err, os.ErrNotExist) {
		return readInto(spare, filepath.Join(procfs, "self", "mountinfo"))
	}
	return text, err
}

// readInto reads a file whose size nobody knows beforehand. With os.ReadFile,
// which begins with 512 bytes, the kernel would be asked ten times.
func readInto(spare []byte, path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text := bytes.NewBuffer(spare[:0])
	text.Grow(8 << 10)
	_, err = text.ReadFrom(file)
	return text.Bytes(), err
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
