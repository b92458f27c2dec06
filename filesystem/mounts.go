package filesystem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// mostMounts bounds how many file systems are asked, and so how many
// goroutines can hang.
const mostMounts = 128

// linksAge is how long a link among the data paths is taken to lead where it
// did, unless something is mounted or unmounted.
const linksAge = time.Minute

func newMounts(rootfs string, own *mountTable) *nodeMounts {
	return &nodeMounts{rootfs: rootfs, own: own.read, readlink: os.Readlink, statfs: statfs, asked: map[string]*ask[fault.Filesystem]{}}
}

// nodeMounts are the mounts below rootfs. They are told by our own mountinfo
// and not by the node's: what was mounted after us and does not propagate to
// us cannot be asked.
type nodeMounts struct {
	rootfs   string
	own      func() ([]*mountInfo, int, error)
	readlink func(string) (string, error)
	statfs   func(string) (fault.Filesystem, error)
	links    ask[map[string]string] // the real path of each data path

	mu       sync.Mutex
	chosen   []wanted // from the mounts of this generation
	from     int
	followed time.Time                         // when the links were
	asked    map[string]*ask[fault.Filesystem] // by device and mount point
}

func (n *nodeMounts) look(ctx context.Context) ([]fault.Mount, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all, generation, err := n.own()
	if err != nil {
		return nil, fmt.Errorf("read our own mounts: %w", err)
	}
	if generation != n.from || time.Since(n.followed) > linksAge {
		n.links.put(func() (map[string]string, error) { return n.follow(), nil })
		real, _ := n.links.answer(ctx) // a path on a stuck mount is taken at its word
		n.chosen = choose(below(all, n.rootfs), real)
		n.from, n.followed = generation, time.Now()
	}
	wanted := n.chosen
	n.forget(wanted)
	var told []fault.Mount
	var left int
	for _, w := range wanted {
		if n.asked[w.key] == nil {
			if len(n.asked) >= mostMounts {
				left++
				continue
			}
			n.asked[w.key] = new(ask[fault.Filesystem])
		}
		n.asked[w.key].put(func() (fault.Filesystem, error) { return n.ask(w) })
		told = append(told, w.Mount)
	}
	i := 0
	for _, w := range wanted {
		if a := n.asked[w.key]; a != nil {
			told[i].Filesystem, told[i].Err = a.answer(ctx)
			i++
		}
	}
	if err := context.Cause(ctx); err != nil {
		return told, fmt.Errorf("no time left for all mounts: %w", err)
	}
	if left > 0 {
		return told, fmt.Errorf("%d mounts are not asked, as %d are", left, mostMounts)
	}
	return told, nil
}

// forget drops what is no longer mounted, unless a goroutine hangs in it.
func (n *nodeMounts) forget(wanted []wanted) {
	for key, a := range n.asked {
		if !a.waits() && !slices.ContainsFunc(wanted, isKey(key)) {
			delete(n.asked, key)
		}
	}
}

func isKey(key string) func(wanted) bool {
	return func(w wanted) bool { return w.key == key }
}

// follow resolves the links in the data paths, as seen from the node's root.
func (n *nodeMounts) follow() map[string]string {
	type link struct {
		target string
		err    error
	}
	seen := map[string]link{} // the paths share their beginnings
	readlink := func(p string) (string, error) {
		l, ok := seen[p]
		if !ok {
			l.target, l.err = n.readlink(path.Join(n.rootfs, p))
			seen[p] = l
		}
		return l.target, l.err
	}
	real := map[string]string{}
	for _, p := range fault.DataPaths {
		real[p] = follow(p, readlink)
	}
	return real
}

// mostLinks is how many links a path may have, as in the kernel.
const mostLinks = 40

// follow resolves the links in a path. A path that leads nowhere comes back
// as far as it leads.
func follow(p string, readlink func(string) (string, error)) string {
	for range mostLinks {
		next, led := followFirst(p, readlink)
		if !led {
			break
		}
		p = next
	}
	return p
}

// followFirst resolves the first link in a path.
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

// A wanted mount is one to be asked.
type wanted struct {
	fault.Mount
	key      string
	readOnly bool // by what mountinfo says
}

func (n *nodeMounts) ask(w wanted) (fault.Filesystem, error) {
	f, err := n.statfs(path.Join(n.rootfs, w.Point))
	f.At, f.ReadOnly = time.Now(), w.readOnly
	return f, err
}

// unescaped writes a path of mountinfo as it is (proc_pid_mountinfo(5)).
var unescaped = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// A nodeMount is a mount as the node knows it.
type nodeMount struct {
	*mountInfo
	point    string
	readOnly bool
}

// below lists the mounts at and below rootfs, each mount point once, as the
// node knows them.
func below(all []*mountInfo, rootfs string) []nodeMount {
	var node []nodeMount
	places := map[string]int{}
	for _, m := range all {
		at := unescaped.Replace(m.MountPoint)
		if !within(at, rootfs) {
			continue
		}
		now := nodeMount{m, path.Join("/", strings.TrimPrefix(at, rootfs)), readOnly(m, rootfs != "/")}
		if i, covered := places[now.point]; covered {
			node[i] = now
			continue
		}
		places[now.point] = len(node)
		node = append(node, now)
	}
	return node
}

// within says whether a path is dir or lies below it.
func within(p, dir string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir) && p[len(dir)] == '/'
}

// choose picks the file systems to ask: those of the data paths, by their real
// paths, where they are not the root's, and those that might not answer.
func choose(node []nodeMount, real map[string]string) []wanted {
	seen := map[string]bool{}
	var chosen []wanted
	choose := func(m nodeMount, data string) {
		if seen[m.MajorMinorVer] {
			return
		}
		seen[m.MajorMinorVer] = true
		chosen = append(chosen, wanted{
			Mount:    fault.Mount{Point: m.point, Source: unescaped.Replace(m.Source), Type: m.FSType, Data: data},
			key:      m.MajorMinorVer + " " + m.point,
			readOnly: m.readOnly,
		})
	}
	if root, ok := holder(node, "/"); ok {
		seen[root.MajorMinorVer] = true
	}
	for _, data := range fault.DataPaths {
		at, ok := real[data]
		if !ok {
			at = data
		}
		m, ok := holder(node, at)
		switch {
		case !ok || m.point == "/":
		case within(data, m.point):
			choose(m, m.point)
		default: // by a link
			choose(m, data)
		}
	}
	for _, m := range node {
		if fault.Remote(m.FSType) {
			choose(m, "")
		}
	}
	return chosen
}

// holder returns the mount that a path lies on.
func holder(node []nodeMount, p string) (nodeMount, bool) {
	var best nodeMount
	for _, m := range node {
		if within(p, m.point) && len(m.point) > len(best.point) {
			best = m
		}
	}
	return best, best.mountInfo != nil
}

// readOnly says whether the node cannot write to a mount. Where the mount was
// made for us, it is read-only for caution, and only the file system's own
// options say.
func readOnly(m *mountInfo, forUs bool) bool {
	_, ro := m.SuperOptions["ro"]
	_, emergency := m.SuperOptions["emergency_ro"]
	_, here := m.Options["ro"]
	return ro || emergency || here && !forUs
}

// statfs asks a file system, for as long as it takes.
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
