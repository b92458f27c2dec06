//go:build linux

package filesystem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/test/mutefs"
)

// parseMounts parses mountinfo as the kernel writes it.
func parseMounts(t *testing.T, mountinfo string) []*mountInfo {
	t.Helper()
	return parseMountInfo([]byte(mountinfo))
}

// procfsWith makes a procfs whose first process has the given mounts.
func procfsWith(t *testing.T, mountinfo string) string {
	t.Helper()
	path := t.TempDir()
	if err := os.Mkdir(filepath.Join(path, "1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "1", "mountinfo"), []byte(mountinfo), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	containerRoot = "100 50 0:50 / / ro,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u\n"
	hostAtHost    = "101 100 8:1 / /host ro,relatime - ext4 /dev/sda1 rw,errors=remount-ro\n"
	hostRoot      = "25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro\n"
	hostOverlay   = "25 1 0:24 / / rw,relatime - overlay overlay rw,lowerdir=/usr\n"
	hostInitramfs = "1 1 0:2 / / rw - rootfs rootfs rw\n"
)

func TestRootMount(t *testing.T) {
	for _, row := range []struct{ name, node, self, path, want string }{
		{"on the node itself", hostRoot, hostRoot, "/", "/dev/sda1 ext4 at /"},
		{"on the node itself, after an initramfs", hostInitramfs + hostRoot, hostRoot, "/", "/dev/sda1 ext4 at /"},
		{"an immutable node", hostOverlay, hostOverlay, "/", "overlay overlay at /"},
		{"in a container, with the node's procfs", hostRoot, containerRoot + hostAtHost, "/host", "/dev/sda1 ext4 at /"},
		{"in a container, with its own procfs", containerRoot + hostAtHost, containerRoot + hostAtHost, "/host", "/dev/sda1 ext4 at /host"},
		{"in a container on an immutable node", hostOverlay, containerRoot + strings.Replace(hostAtHost, "ext4 /dev/sda1", "overlay overlay", 1), "/host", "overlay overlay at /"},
		{"in a container that has not mounted the root", containerRoot, containerRoot, "/host", "nothing is mounted at /host; expected the node's root file system"},
		{"no root at all", "30 1 0:5 / /dev rw - devtmpfs udev rw\n", containerRoot, "/", "the procfs lists no root file system"},
	} {
		mount, err := rootMount(parseMounts(t, row.node), parseMounts(t, row.self), row.path)
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprintf("%s %s at %s", mount.Source, mount.FSType, mount.MountPoint)
		}
		if got != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.name, got, row.want)
		}
	}
}

// families returns the metrics of node_exporter for one mount at the root.
func families(device, fstype, deviceError string, values map[string]float64) []*dto.MetricFamily {
	registry := prometheus.NewRegistry()
	for name, value := range values {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "node_filesystem_" + name,
			ConstLabels: prometheus.Labels{"device": device, "fstype": fstype, "mountpoint": "/", "device_error": deviceError}})
		g.Set(value)
		registry.MustRegister(g)
	}
	all, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	return all
}

func TestValuesOfTheMount(t *testing.T) {
	values := map[string]float64{"size_bytes": 100, "free_bytes": 40, "avail_bytes": 35, "files": 10, "files_free": 4, "readonly": 1}
	writable := fault.Filesystem{Size: 100, Free: 40, Avail: 35, Files: 10, FilesFree: 4}
	readOnly := writable
	readOnly.ReadOnly = true
	for _, row := range []struct {
		name, mount string
		families    []*dto.MetricFamily
		want        fault.Filesystem
		err         string
	}{
		{"the node's own mount is read-only", hostRoot, families("/dev/sda1", "ext4", "", values), readOnly, ""},
		{"only the mount into the container is", hostAtHost, families("/dev/sda1", "ext4", "", values), writable, ""},
		{"the file system is, after errors", strings.Replace(hostAtHost, "rw,errors", "ro,errors", 1), families("/dev/sda1", "ext4", "", values), readOnly, ""},
		{"the file system is, after a shutdown", strings.Replace(hostAtHost, "rw,errors", "rw,emergency_ro,errors", 1), families("/dev/sda1", "ext4", "", values), readOnly, ""},
		{"only the container's root", hostRoot, families("overlay", "overlay", "", values), fault.Filesystem{}, "node_exporter exports no values of /dev/sda1 (ext4)"},
		{"statfs failed", hostRoot, families("/dev/sda1", "ext4", "input/output error", map[string]float64{"device_error": 1, "readonly": 0}), fault.Filesystem{}, "statfs: input/output error"},
	} {
		got, err := valuesOf(row.families, parseMounts(t, row.mount)[0])
		if got != row.want || (err == nil) != (row.err == "") || err != nil && err.Error() != row.err {
			t.Errorf("%s: got %+v, %v", row.name, got, err)
		}
	}
}

// inProcess names the part of a test that runs in a separate process.
const inProcess = "FILESYSTEM_TEST_IN_PROCESS"

// TestRootEqualsStatfs reads each root in a separate process, because
// node_exporter can be set up once: a tmpfs of known size, as in a container, the
// root of this process, and one that never answers.
func TestRootEqualsStatfs(t *testing.T) {
	tests := map[string]func(*testing.T){"a tmpfs": testTmpfs, "a tmpfs on WSL2": testWSL2, "the root of this process": testRoot, "a root that never answers": testMuteRoot}
	if test := tests[os.Getenv(inProcess)]; test != nil {
		test(t)
		return
	}
	for name := range tests {
		t.Run(name, func(t *testing.T) {
			again := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestRootEqualsStatfs$")
			again.Env = append(os.Environ(), inProcess+"="+name)
			out, err := again.CombinedOutput()
			t.Logf("%s", out)
			switch {
			case err != nil:
				t.Error(err)
			case bytes.Contains(out, []byte("--- SKIP")):
				t.Skip("see above")
			}
		})
	}
}

func testTmpfs(t *testing.T) {
	path := t.TempDir()
	const size, inodes = 64 << 20, 1000
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=%d", size, inodes)); err != nil {
		t.Skipf("mount a tmpfs, as only root may: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, 0) })
	if err := os.WriteFile(filepath.Join(path, "file"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	// An overlay is the root of immutable distributions, with the same source and
	// type as the container's root.
	procPath := procfsWith(t, containerRoot+"102 100 0:77 / "+path+" ro,relatime - overlay overlay rw\n"+
		"103 102 0:78 / "+path+"/nfs rw - nfs server:/dead rw\n")
	got, statfs := rootFS(t, procPath, path)
	if want := (fault.Filesystem{Size: size, Free: size - 1<<20, Avail: size - 1<<20, Files: inodes, FilesFree: inodes - 2}); got != want || statfs != want {
		t.Errorf("got %+v\nstatfs %+v\nwant %+v", got, statfs, want)
	}
	onlyRoot(t)
}

// testWSL2 has a line that node_exporter cannot parse.
func testWSL2(t *testing.T) {
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mount a tmpfs, as only root may: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, 0) })
	procPath := procfsWith(t, wsl2Line+containerRoot+"102 100 0:77 / "+path+" rw,relatime - tmpfs tmpfs ro\n")
	collect, _, err := Disks(slog.New(slog.NewTextHandler(t.Output(), nil)), procPath, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if f, err := collect(t.Context()); err != nil || f.Size != 1<<20 || !f.ReadOnly || f.At.IsZero() {
			t.Errorf("got %+v, %v; want a size of 1 MiB, read-only", f, err)
		}
	}
}

// onlyRoot fails when node_exporter reads any mount except the root: it might
// hang.
func onlyRoot(t *testing.T) {
	all, _ := nodeExporter.filesystem.Gather() // an error is about two equal series
	for _, family := range all {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "mountpoint" && l.GetValue() != "/" {
					t.Errorf("%s of %s", family.GetName(), l.GetValue())
				}
			}
		}
	}
}

func testRoot(t *testing.T) {
	got, statfs := rootFS(t, "/proc", "/")
	if got.Size != statfs.Size || got.Files != statfs.Files || got.Free < got.Avail { // the rest changes
		t.Errorf("got %+v\nstatfs %+v", got, statfs)
	}
}

func testMuteRoot(t *testing.T) {
	point := t.TempDir()
	die := mutefs.Mount(t, point)
	collect, _, err := Disks(slog.New(slog.NewTextHandler(t.Output(), nil)), procfsWith(t, "102 100 0:77 / "+point+" rw - fuse.mute mute rw\n"), point, nil)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 10 {
		if f, err := collect(t.Context()); !errors.Is(err, fault.ErrNoAnswer) || !f.At.IsZero() {
			t.Errorf("got %+v, %v", f, err)
		}
	}
	if took := time.Since(began); took < statfsTimeout || took > 5*statfsTimeout {
		t.Errorf("10 collections took %s, want one timeout of %s", took, statfsTimeout)
	}
	die()
}

// rootFS returns the root as read by Disks, and as read by statfs.
func rootFS(t *testing.T, procPath, rootPath string) (got, want fault.Filesystem) {
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	collect, _, err := Disks(log, procPath, rootPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := collect(t.Context()) // now without node_exporter
	if again.At = got.At; again != got && got.Size < 1<<30 || again.ReadOnly != got.ReadOnly || again.Size != got.Size || err != nil {
		t.Errorf("got %+v\nthen %+v, %v", got, again, err)
	}
	if time.Since(got.At) > time.Minute {
		t.Errorf("read at %s", got.At)
	}
	got.At = time.Time{}
	var s syscall.Statfs_t
	if err := syscall.Statfs(rootPath, &s); err != nil {
		t.Fatal(err)
	}
	block := float64(s.Bsize)
	want = fault.Filesystem{Size: float64(s.Blocks) * block, Free: float64(s.Bfree) * block, Avail: float64(s.Bavail) * block, Files: float64(s.Files), FilesFree: float64(s.Ffree)}
	if _, _, err := Disks(log, procPath, rootPath, nil); err != nil {
		t.Errorf("the same paths again: %v", err)
	}
	_, _, err = Disks(log, "/elsewhere", rootPath, nil)
	if want := fmt.Sprintf("node_exporter reads procfs %s and root %s already; expected the same paths, not /elsewhere and %s", procPath, rootPath, rootPath); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	return got, want
}

func TestRootThatDoesNotAnswerOccupiesOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		answer := make(chan struct{})
		self := func() ([]*mountInfo, int, error) { return parseMounts(t, hostRoot), 1, nil }
		again := func(string) (fault.Filesystem, error) { return fault.Filesystem{Size: 100}, nil }
		r := &root{path: "/", node: self, self: self, statfs: again, filesystem: prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			calls.Add(1)
			<-answer
			return families("/dev/sda1", "ext4", "", map[string]float64{"size_bytes": 100}), errors.New("the same series twice")
		})}
		collect := func() (fault.Filesystem, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			return r.collect(ctx)
		}
		began := time.Now()
		for range 3 {
			_, err := collect()
			if want := "file system at /: no response since 2000-01-01T00:00:00Z"; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d goroutines hang, want 1", n)
		}
		if waited := time.Since(began); waited != statfsTimeout {
			t.Errorf("three collections waited for %s, want %s once", waited, statfsTimeout)
		}
		close(answer)
		synctest.Wait()
		if f, err := collect(); err != nil || f.Size != 100 {
			t.Errorf("when it answers again: %+v, %v", f, err)
		}
	})
}

func TestNodeExporterIsUsedAgainWhenMountsChange(t *testing.T) {
	calls, generation := 0, 1
	self := func() ([]*mountInfo, int, error) { return parseMounts(t, hostRoot), generation, nil }
	failing := errors.New("input/output error")
	r := &root{path: "/", node: self, self: self, filesystem: prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		calls++
		return families("/dev/sda1", "ext4", "", map[string]float64{"size_bytes": 100, "readonly": float64(generation - 1)}), nil
	})}
	for i, row := range []struct {
		statfs     error
		generation int
		calls      int
		want       string
	}{
		{nil, 1, 1, "100 false <nil>"},
		{nil, 1, 1, "90 false <nil>"},
		{failing, 1, 1, "0 false input/output error"},
		{nil, 1, 1, "90 false <nil>"},
		{nil, 2, 2, "100 true <nil>"},
		{nil, 2, 2, "90 true <nil>"},
	} {
		generation = row.generation
		r.statfs = func(path string) (fault.Filesystem, error) {
			if path != "/" || row.statfs != nil {
				return fault.Filesystem{}, row.statfs
			}
			return fault.Filesystem{Size: 90}, nil
		}
		f, err := r.read()
		if got := fmt.Sprint(f.Size, f.ReadOnly, err); got != row.want || calls != row.calls {
			t.Errorf("collection %d: %s, node_exporter used %d times; want %s, %d", i+1, got, calls, row.want, row.calls)
		}
	}
}
