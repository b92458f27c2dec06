//go:build linux

package filesystem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// maxMounts is the largest number of file systems that are read, and so of
// goroutines that can hang.
const maxMounts = 128

// maxData is the largest number of file systems with data that are exported.
const maxData = 32

// linksAge is how long the targets of symbolic links in the data paths are used
// before they are read again, unless a mount changes.
const linksAge = time.Minute

// newMounts returns the mounts below rootfs. Paths are directories with data in
// addition to fault.DataPaths.
func newMounts(log *slog.Logger, rootfs string, paths []string, self *mountTable) *nodeMounts {
	return &nodeMounts{
		log: log, rootfs: rootfs, paths: slices.Concat(fault.DataPaths, paths), rootFiles: rootFiles,
		self: self.read, readlink: os.Readlink, statfs: statfs, calls: map[string]*call[fault.Filesystem]{}, denied: map[string]bool{},
	}
}

// nodeMounts are the mounts below rootfs in the mount table of this process. The
// node's table may have later mounts that do not propagate to this process and
// cannot be read.
type nodeMounts struct {
	log       *slog.Logger
	rootfs    string
	paths     []string
	rootFiles []string
	self      func() ([]*mountInfo, int, error)
	readlink  func(string) (string, error)
	statfs    func(string) (fault.Filesystem, error)
	links     call[[]dataPath]

	mu         sync.Mutex
	selected   []selection // from the mounts of this generation
	omitted    int         // as logged
	generation int
	followed   time.Time                          // when the links were read
	calls      map[string]*call[fault.Filesystem] // by selection.key
	denied     map[string]bool                    // by selection.key: logged
}

func (n *nodeMounts) collect(ctx context.Context) ([]fault.Mount, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all, generation, err := n.self()
	if err != nil {
		return nil, fmt.Errorf("read the mounts of this process: %w", err)
	}
	if generation != n.generation || time.Since(n.followed) > linksAge {
		node := below(all, n.rootfs)
		n.links.start(func() ([]dataPath, error) { return n.follow(node), nil })
		paths, _ := n.links.result(ctx)
		if paths == nil { // a path on a stuck mount is used as it is
			paths = unresolved(n.paths)
		}
		var omitted int
		n.selected, omitted = selectMounts(node, paths)
		if omitted > 0 && omitted != n.omitted {
			n.log.Warn("too many file systems below the data paths", "limit", maxData, "omitted", omitted)
		}
		n.omitted = omitted
		n.generation, n.followed = generation, time.Now()
	}
	n.forget(n.selected)
	var mounts []fault.Mount
	var omitted int
	for _, s := range n.selected {
		if n.calls[s.key] == nil {
			if len(n.calls) >= maxMounts {
				omitted++
				continue
			}
			n.calls[s.key] = new(call[fault.Filesystem])
		}
		n.calls[s.key].start(func() (fault.Filesystem, error) { return n.read(s) })
		mounts = append(mounts, s.Mount)
	}
	i := 0
	for _, s := range n.selected {
		if c := n.calls[s.key]; c != nil {
			mounts[i].Filesystem, mounts[i].Err = c.result(ctx)
			if s.below && (errors.Is(mounts[i].Err, os.ErrPermission) || errors.Is(mounts[i].Err, os.ErrNotExist)) {
				n.logDenied(s, mounts[i].Err)
				mounts[i].Data = ""
			}
			i++
		}
	}
	if err := context.Cause(ctx); err != nil {
		return mounts, fmt.Errorf("no time left for all mounts: %w", err)
	}
	if omitted > 0 {
		return mounts, fmt.Errorf("%d mounts are not read, as the limit is %d", omitted, maxMounts)
	}
	return mounts, nil
}

// forget deletes what is no longer mounted, unless a goroutine hangs in it.
func (n *nodeMounts) forget(selected []selection) {
	for key, c := range n.calls {
		if !c.isRunning() && !slices.ContainsFunc(selected, hasKey(key)) {
			delete(n.calls, key)
			delete(n.denied, key)
		}
	}
}

// logDenied logs once that a file system is in a directory that this process
// cannot enter.
func (n *nodeMounts) logDenied(s selection, err error) {
	if !n.denied[s.key] {
		n.log.Warn("a file system below a data path is not inspected", "mountpoint", s.path, "err", err)
	}
	n.denied[s.key] = true
}

func hasKey(key string) func(selection) bool {
	return func(s selection) bool { return s.key == key }
}

// errAutofs is the error of a path below an autofs mount, which reading would
// mount.
var errAutofs = errors.New("below an autofs mount")

// A dataPath is a directory with data, and where its symbolic links lead.
type dataPath struct{ name, real string }

// unresolved returns paths without symbolic links.
func unresolved(names []string) []dataPath {
	paths := make([]dataPath, len(names))
	for i, name := range names {
		paths[i] = dataPath{name, name}
	}
	return paths
}

// follow resolves the symbolic links in the data paths, relative to the node's
// root. The root directories of kubelet and container runtime are data paths.
func (n *nodeMounts) follow(node []nodeMount) []dataPath {
	type link struct {
		target string
		err    error
	}
	seen := map[string]link{} // the paths have common prefixes
	readlink := func(p string) (string, error) {
		l, ok := seen[p]
		if m, mounted := holder(node, p); mounted && m.FSType == autofs && p != m.point {
			return "", errAutofs
		}
		if !ok {
			l.target, l.err = n.readlink(path.Join(n.rootfs, p))
			seen[p] = l
		}
		return l.target, l.err
	}
	paths := unresolved(slices.Concat(n.paths, n.roots(node, readlink)))
	for i, p := range paths {
		paths[i].real = follow(p.name, readlink)
	}
	return paths
}

// maxLinks is how many symbolic links a path may have, as in the kernel.
const maxLinks = 40

// follow resolves the symbolic links in a path. A path that does not exist is
// resolved as far as possible.
func follow(p string, readlink func(string) (string, error)) string {
	for range maxLinks {
		next, ok := followFirst(p, readlink)
		if !ok {
			break
		}
		p = next
	}
	return p
}

// followFirst resolves the first symbolic link in a path.
func followFirst(p string, readlink func(string) (string, error)) (string, bool) {
	for end := 1; end <= len(p); end++ {
		if end < len(p) && p[end] != '/' {
			continue
		}
		target, err := readlink(p[:end])
		if err != nil {
			continue // no link
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(p[:end]), target)
		}
		return path.Join(target, p[end:]), true
	}
	return p, false
}

// autofs is the type of a mount point that is mounted when it is used.
const autofs = "autofs"

// A selection is a mount to be read.
type selection struct {
	fault.Mount
	path     string // below the node's root
	key      string // identifies the mount and its file system
	below    bool   // mounted below a data path
	readOnly bool   // from mountinfo
}

func (n *nodeMounts) read(s selection) (fault.Filesystem, error) {
	f, err := n.statfs(path.Join(n.rootfs, s.path))
	f.At, f.ReadOnly = time.Now(), s.readOnly
	return f, err
}

// unescape replaces the escapes in a path of mountinfo
// (proc_pid_mountinfo(5)).
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// A nodeMount is a mount with its mount point on the node.
type nodeMount struct {
	*mountInfo
	point    string
	readOnly bool
}

// below returns the mounts at and below rootfs, each mount point once, with paths
// relative to rootfs.
func below(all []*mountInfo, rootfs string) []nodeMount {
	var node []nodeMount
	places := map[string]int{}
	for _, m := range all {
		at := unescape.Replace(m.MountPoint)
		if !within(at, rootfs) {
			continue
		}
		now := nodeMount{m, path.Join("/", strings.TrimPrefix(at, rootfs)), readOnly(m, rootfs != "/")}
		if i, ok := places[now.point]; ok { // it covers the earlier one
			node[i] = now
			continue
		}
		places[now.point] = len(node)
		node = append(node, now)
	}
	return node
}

// within reports whether a path is dir or below it.
func within(p, dir string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir) && p[len(dir)] == '/'
}

// selectMounts returns the file systems to read: those at and below the data
// paths, unless they are the root's, and those that depend on a server. Each file
// system is selected once: first those of the data paths, then those below them,
// parents before children. It also returns how many more than maxData have data.
// An autofs mount is not selected, because reading it would mount what is behind
// it.
func selectMounts(node []nodeMount, paths []dataPath) ([]selection, int) {
	seen, points, data := map[string]bool{}, map[string]int{}, map[string]int{}
	var selected []selection
	add := func(m nodeMount, name string, below bool) {
		if seen[m.MajorMinorVer] || m.FSType == autofs {
			return
		}
		seen[m.MajorMinorVer] = true
		if name != "" {
			name = distinctName(strings.Map(sanitize, name), data)
		}
		selected = append(selected, selection{
			Mount: fault.Mount{Point: distinctName(m.point, points), Source: unescape.Replace(m.Source), Type: m.FSType, Data: name},
			path:  m.point,
			// A device number is reused after an unmount, even at the same point.
			key:      strings.Join([]string{m.ID, m.MajorMinorVer, m.Root, m.FSType, m.Source, m.point}, " "),
			below:    below,
			readOnly: m.readOnly,
		})
	}
	if root, ok := holder(node, "/"); ok {
		seen[root.MajorMinorVer] = true
	}
	for _, p := range paths {
		m, ok := holder(node, p.real)
		switch {
		case !ok || m.point == "/":
		case within(p.name, m.point):
			add(m, m.point, false)
		default: // by a symbolic link
			add(m, p.name, false)
		}
	}
	for _, m := range belowData(node, paths) {
		add(m, m.point, true)
	}
	omitted := max(0, len(selected)-maxData)
	selected = selected[:len(selected)-omitted]
	for _, m := range node {
		if fault.Remote(m.FSType) {
			add(m, "", false)
		}
	}
	return selected, omitted
}

// belowData returns the mounts below the data paths that hold data, parents before
// children.
func belowData(node []nodeMount, paths []dataPath) []nodeMount {
	var found []nodeMount
	for _, m := range node {
		isBelow := func(p dataPath) bool { return m.point != p.real && within(m.point, p.real) }
		if slices.ContainsFunc(paths, isBelow) && fault.HoldsData(m.FSType, m.point) && !hidden(m, node) {
			found = append(found, m)
		}
	}
	depth := func(m nodeMount) int { return strings.Count(m.point, "/") }
	slices.SortFunc(found, func(a, b nodeMount) int {
		return cmp.Or(cmp.Compare(depth(a), depth(b)), strings.Compare(a.point, b.point))
	})
	return found
}

// hidden reports whether a later mount on a parent directory hides a mount.
func hidden(m nodeMount, node []nodeMount) bool {
	return slices.ContainsFunc(node, func(over nodeMount) bool {
		return over.Parent == m.Parent && over.point != m.point && within(m.point, over.point)
	})
}

// sanitize replaces what a shell would interpret in the commands of an alert. The
// name of a mount point is untrusted input; ? still matches it.
func sanitize(r rune) rune {
	if r < utf8.RuneSelf && !strings.ContainsRune("/._-+=:,@%", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) || !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// distinctName returns a mount point that can be a label value. Invalid UTF-8 is
// replaced; mount points that become equal get a number: the second is "PATH~2".
func distinctName(point string, count map[string]int) string {
	name := strings.ToValidUTF8(point, "\uFFFD")
	if count[name]++; count[name] > 1 {
		return fmt.Sprintf("%s~%d", name, count[name])
	}
	return name
}

// holder returns the mount of a path.
func holder(node []nodeMount, p string) (nodeMount, bool) {
	var best nodeMount
	for _, m := range node {
		if within(p, m.point) && len(m.point) > len(best.point) {
			best = m
		}
	}
	return best, best.mountInfo != nil
}

// readOnly reports whether the node cannot write to a mount. A mount into the
// exporter's container is always read-only; then only the options of the file
// system count.
func readOnly(m *mountInfo, forContainer bool) bool {
	return m.SuperOptions["ro"] || m.SuperOptions["emergency_ro"] || m.Options["ro"] && !forContainer
}

// statfs returns the size of a file system. It may hang.
func statfs(path string) (fault.Filesystem, error) {
	var s unix.Statfs_t
	var err error
	for again := true; again; again = errors.Is(err, unix.EINTR) {
		err = unix.Statfs(path, &s)
	}
	if err != nil {
		return fault.Filesystem{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	unit := float64(s.Frsize) // of the counts; for NFS and FUSE it is not Bsize
	return fault.Filesystem{
		Size: float64(s.Blocks) * unit, Free: float64(s.Bfree) * unit, Avail: float64(s.Bavail) * unit,
		Files: float64(s.Files), FilesFree: float64(s.Ffree),
	}, nil
}
