//go:build linux

package filesystem

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A mountInfo is a line of mountinfo (proc_pid_mountinfo(5)).
type mountInfo struct {
	ID, Parent    string // unique among the current mounts
	MajorMinorVer string // the device, such as 8:1; of a virtual file system, reused after an unmount
	Root          string // the directory of the file system that is mounted
	MountPoint    string // escaped, as in the file
	Source        string // escaped, as in the file
	FSType        string
	Options       map[string]bool // of the mount
	SuperOptions  map[string]bool // of the file system
}

// parseMountInfo returns the mounts in the text of mountinfo. It leaves out
// lines that are malformed. A source may contain unescaped spaces, as on WSL2.
func parseMountInfo(text []byte) []*mountInfo {
	var all []*mountInfo
	for line := range strings.Lines(string(text)) {
		if m := parseMount(strings.TrimSuffix(line, "\n")); m != nil {
			all = append(all, m)
		}
	}
	return all
}

// parseMount returns the mount of a line, nil when it is malformed.
func parseMount(line string) *mountInfo {
	mount, filesystem, ok := strings.Cut(line, " - ")
	fields := strings.Fields(mount)
	fstype, rest, hasRest := strings.Cut(filesystem, " ")
	source, super := rest, ""
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		source, super = rest[:i], rest[i+1:]
	}
	if !ok || len(fields) < 6 || !hasRest || !strings.HasPrefix(fields[4], "/") {
		return nil
	}
	return &mountInfo{
		ID: fields[0], Parent: fields[1], MajorMinorVer: fields[2], Root: fields[3], MountPoint: fields[4], Options: options(fields[5]),
		FSType: fstype, Source: source, SuperOptions: options(super),
	}
}

// options returns the names in a list of options, of which ro and such have no
// value.
func options(list string) map[string]bool {
	set := map[string]bool{}
	for option := range strings.SplitSeq(list, ",") {
		name, _, _ := strings.Cut(option, "=")
		set[name] = true
	}
	return set
}

// tableAge is how long a mount table is used without reading it again, within
// one collection.
const tableAge = 50 * time.Millisecond

// A mountTable is the mounts of a process. Parsing is most of the work of a
// collection, in proportion to the number of containers, so a text is parsed
// only when it has changed. Polling for changes (proc_pid_mounts(5)) does not
// work: a file system that turns read-only by itself causes no event.
type mountTable struct {
	procfs string // "" means this process

	mu         sync.Mutex
	text       []byte
	spare      []byte // for the next text
	all        []*mountInfo
	generation int // how often it was parsed
	at         time.Time
}

// read returns the mounts, which are shared and must not be changed, and a
// number that changes with them.
func (t *mountTable) read() (all []*mountInfo, generation int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.at) < tableAge {
		return t.all, t.generation, nil
	}
	text, err := mountinfo(t.procfs, t.spare)
	if err != nil {
		return nil, 0, err
	}
	t.spare = text
	if t.generation == 0 || !bytes.Equal(text, t.text) {
		t.all = parseMountInfo(text)
		t.text, t.spare = text, t.text
		t.generation++
	}
	t.at = time.Now()
	return t.all, t.generation, nil
}

// sameNamespace reports whether the first process of a procfs is in the mount
// namespace of this process, and false when that is unknown.
func sameNamespace(procfs string) bool {
	self, errSelf := os.Readlink("/proc/self/ns/mnt")
	first, errFirst := os.Readlink(filepath.Join(procfs, "1", "ns", "mnt"))
	return errSelf == nil && errFirst == nil && self == first
}

// mountinfo returns the mount table that node_exporter reads: that of the first
// process of the procfs, or of the reader itself when the first is hidden. ""
// means this process. It uses the memory of spare if that is large enough.
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

// readInto reads a file of unknown size. os.ReadFile begins with 512 bytes and
// would call the kernel ten times.
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
