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
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/test/mutefs"
)

func TestSelectMounts(t *testing.T) {
	const (
		root    = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		proc    = "26 25 0:4 / /proc rw - proc proc rw\n"
		overlay = "90 25 0:60 / /var/lib/rancher/rke2/agent/containerd/1/rootfs rw - overlay overlay rw\n"
	)
	for _, row := range []struct{ name, rootfs, mounts, links, want string }{
		{"one disk for all", "/", root + proc + overlay, "", ""},
		{"a bind mount of root is root", "/", root + "30 25 8:1 /data/docker /var/lib/docker rw - ext4 /dev/sda1 rw\n", "", ""},
		{"a subvolume of root is root", "/", "25 1 0:30 /@ / rw - btrfs /dev/sda1 rw\n30 25 0:30 /@var /var rw - btrfs /dev/sda1 rw\n", "", ""},
		{"a disk for /var", "/", root + "30 25 8:2 / /var rw - xfs /dev/sda2 rw\n", "", "/var as /var (/dev/sda2 xfs)"},
		{"a disk for each", "/", root + "30 25 8:2 / /var/lib/rancher rw - xfs /dev/sdb rw\n31 25 8:3 / /opt/rainbond ro - ext4 /dev/sdc rw\n", "",
			"/var/lib/rancher as /var/lib/rancher (/dev/sdb xfs); /opt/rainbond as /opt/rainbond (/dev/sdc ext4) read-only"},
		{"one disk behind two bind mounts is read once", "/", root + "30 25 8:2 / /data rw - xfs /dev/sdb rw\n31 25 8:2 /docker /var/lib/docker rw - xfs /dev/sdb rw\n32 25 8:2 /rb /opt/rainbond rw - xfs /dev/sdb rw\n", "",
			"/var/lib/docker as /var/lib/docker (/dev/sdb xfs)"},
		{"a link to a disk of data", "/", root + "30 25 8:2 / /data rw - xfs /dev/sdb rw\n", "/var/lib/docker=/data/docker", "/data as /var/lib/docker (/dev/sdb xfs)"},
		{"a link to a folder of root", "/", root + "30 25 8:2 / /data rw - xfs /dev/sdb rw\n", "/var/lib/docker=/srv/docker", ""},
		{"a later mount covers an earlier", "/", root + "30 25 8:2 / /opt/rainbond rw - xfs /dev/sdb rw\n31 30 8:1 /x /opt/rainbond rw - ext4 /dev/sda1 rw\n", "", ""},
		{"in a container", "/host", "1 0 0:50 / / rw - overlay overlay rw\n2 1 8:1 / /host ro - ext4 /dev/sda1 rw\n3 2 8:2 / /host/var ro - xfs /dev/sda2 rw\n4 1 0:99 / /other rw - nfs4 s:/x rw\n5 1 8:9 / /hostel rw - nfs s:/y rw\n", "",
			"/var as /var (/dev/sda2 xfs)"},
		{"network file systems", "/", root + "30 25 0:70 / /mnt/my\\040nas rw - nfs4 10.0.0.9:/a rw\n31 25 0:70 /sub /srv/sub rw - nfs4 10.0.0.9:/a/sub rw\n32 25 0:71 / /mnt/s3 rw - fuse.s3fs s3fs rw\n33 25 0:72 / /run/x rw - tmpfs tmpfs rw\n", "",
			"/mnt/my nas as  (10.0.0.9:/a nfs4); /mnt/s3 as  (s3fs fuse.s3fs)"},
		{"shared folders on NFS fill as well", "/", root + "30 25 0:70 / /opt/rainbond/grdata rw - nfs4 nas:/grdata rw\n", "", "/opt/rainbond/grdata as /opt/rainbond/grdata (nas:/grdata nfs4)"},
		{"an automounter is not mounted", "/", root + "30 25 0:70 / /var/lib/rancher rw - autofs systemd-1 rw\n31 25 0:71 / /net rw - autofs auto.net rw\n", "", ""},
		{"what an automounter has mounted", "/", root + "30 25 0:70 / /opt/rainbond rw - autofs systemd-1 rw\n31 30 0:72 / /opt/rainbond rw - nfs4 nas:/rb rw\n", "", "/opt/rainbond as /opt/rainbond (nas:/rb nfs4)"},
		{"mount points that become equal", "/", root + "30 25 0:70 / /mnt/\xff rw - nfs4 nas:/a rw\n31 25 0:71 / /mnt/\xfe rw - nfs4 nas:/b rw\n", "", "/mnt/\uFFFD as  (nas:/a nfs4); /mnt/\uFFFD~2 as  (nas:/b nfs4)"},
		{"disks below the data paths, parents first", "/", root + "30 25 8:2 / /var/lib/rancher/rke2 rw - xfs /dev/sdb rw\n31 30 8:3 / /var/lib/rancher/rke2/server/db rw - xfs /dev/sdc rw\n32 25 8:4 / /grdata rw - xfs /dev/sdd rw\n33 25 0:70 / /opt/rainbond/data rw - nfs4 nas:/data rw\n34 25 8:5 / /srv rw - xfs /dev/sde rw\n", "",
			"/grdata as /grdata (/dev/sdd xfs); /opt/rainbond/data as /opt/rainbond/data (nas:/data nfs4); /var/lib/rancher/rke2 as /var/lib/rancher/rke2 (/dev/sdb xfs); /var/lib/rancher/rke2/server/db as /var/lib/rancher/rke2/server/db (/dev/sdc xfs)"},
		{"below a link", "/", root + "30 25 8:2 / /data rw - xfs /dev/sdb rw\n31 30 8:3 / /data/rancher/k3s rw - xfs /dev/sdc rw\n", "/var/lib/rancher=/data/rancher",
			"/data as /var/lib/rancher (/dev/sdb xfs); /data/rancher/k3s as /data/rancher/k3s (/dev/sdc xfs)"},
		{"one disk at several places below", "/", root + "30 25 8:2 /a /opt/rainbond/a rw - xfs /dev/sdb rw\n31 25 8:2 /b /opt/rainbond/b rw - xfs /dev/sdb rw\n32 25 8:1 /c /opt/rainbond/c rw - ext4 /dev/sda1 rw\n", "", "/opt/rainbond/a as /opt/rainbond/a (/dev/sdb xfs)"},
		{"volumes of pods and containers", "/", root + "30 25 8:2 / /var/lib/kubelet/pods/1a-2b/volumes/kubernetes.io~csi/pvc-1/mount rw - ext4 /dev/sdb rw\n31 25 8:3 / /var/lib/kubelet/plugins/kubernetes.io/csi/x/1/globalmount rw - ext4 /dev/sdc rw\n" +
			"32 25 0:71 / /var/lib/docker/containers/1a/mounts/shm rw - tmpfs shm rw\n33 25 0:72 / /var/lib/docker/overlay2/1a/merged rw - overlay overlay rw\n34 25 0:73 / /var/lib/docker/zfs/graph/1a rw - zfs tank/docker/1a rw\n" +
			"35 25 7:1 / /opt/rainbond/iso ro - iso9660 /dev/loop0 ro\n36 25 0:74 / /var/lib/kubelet/pods/1a/volumes/kubernetes.io~nfs/v rw - nfs4 nas:/v rw\n37 25 8:4 / /var/lib/kubelet/pods rw - xfs /dev/sdd rw\n", "",
			"/var/lib/kubelet/pods as /var/lib/kubelet/pods (/dev/sdd xfs); /var/lib/kubelet/pods/1a/volumes/kubernetes.io~nfs/v as  (nas:/v nfs4)"},
		{"a disk of memory", "/", root + "30 25 0:71 / /var/lib/rancher/rke2 rw - tmpfs tmpfs rw\n", "", "/var/lib/rancher/rke2 as /var/lib/rancher/rke2 (tmpfs tmpfs)"},
		{"a later mount hides what is below it", "/", root + "30 25 8:2 / /opt/rainbond/a/b rw - xfs /dev/sdb rw\n31 25 8:3 / /opt/rainbond/a rw - xfs /dev/sdc rw\n32 31 8:4 / /opt/rainbond/a/c rw - xfs /dev/sdd rw\n", "",
			"/opt/rainbond/a as /opt/rainbond/a (/dev/sdc xfs); /opt/rainbond/a/c as /opt/rainbond/a/c (/dev/sdd xfs)"},
		{"names that a shell interprets", "/", root + "30 25 8:2 / /opt/rainbond/a\\040b rw - xfs /dev/sdb rw\n31 25 8:3 / /opt/rainbond/a;b rw - xfs /dev/sdc rw\n32 25 8:4 / /opt/rainbond/数据 rw - xfs /dev/sdd rw\n", "",
			"/opt/rainbond/a b as /opt/rainbond/a?b (/dev/sdb xfs); /opt/rainbond/a;b as /opt/rainbond/a?b~2 (/dev/sdc xfs); /opt/rainbond/数据 as /opt/rainbond/数据 (/dev/sdd xfs)"},
		{"no mounts", "/", "", "", ""},
	} {
		paths := unresolved(fault.DataPaths)
		for _, link := range strings.Fields(row.links) {
			from, to, _ := strings.Cut(link, "=")
			paths[slices.Index(fault.DataPaths, from)].real = to
		}
		var got []string
		selected, _ := selectMounts(below(parseMounts(t, row.mounts), row.rootfs), paths)
		for _, w := range selected {
			text := fmt.Sprintf("%s as %s (%s %s)", w.Point, w.Data, w.Source, w.Type)
			if w.readOnly {
				text += " read-only"
			}
			got = append(got, text)
		}
		if got := strings.Join(got, "; "); got != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.name, got, row.want)
		}
	}
}

func TestNumberOfFileSystemsIsBounded(t *testing.T) {
	var mounts strings.Builder
	mounts.WriteString(rootLine)
	for i := 99; i >= 40; i-- { // deeper ones first
		fmt.Fprintf(&mounts, "%d 300 9:%d / /opt/rainbond/d/e%d rw - xfs /dev/sd rw\n", 100+i, i, i)
	}
	mounts.WriteString("300 25 10:0 / /opt/rainbond/d rw - xfs /dev/sd rw\n301 25 10:1 / /grdata rw - xfs /dev/sd rw\n302 25 0:90 / /mnt/nas rw - nfs4 nas:/a rw\n")
	selected, omitted := selectMounts(below(parseMounts(t, mounts.String()), "/"), unresolved(fault.DataPaths))
	var points []string
	for _, s := range selected {
		points = append(points, s.Point)
	}
	if len(points) != maxData+1 || omitted != 62-maxData || points[0] != "/grdata" || points[1] != "/opt/rainbond/d" || points[2] != "/opt/rainbond/d/e40" || points[maxData] != "/mnt/nas" {
		t.Errorf("%d omitted of %v", omitted, points)
	}
}

// TestDirectoriesThatCannotBeEntered expects no error and one line of log.
func TestDirectoriesThatCannotBeEntered(t *testing.T) {
	mountinfo := rootLine + "30 25 8:2 / /var/lib/rancher/rke2/server/db rw - xfs /dev/sdb rw\n"
	n := nodeWith(t, &mountinfo, func(path string) (fault.Filesystem, error) {
		return fault.Filesystem{}, &os.PathError{Op: "statfs", Path: path, Err: syscall.EACCES}
	})
	var log strings.Builder
	n.log = slog.New(slog.NewTextHandler(&log, nil))
	for range 3 {
		if mounts, err := n.collect(t.Context()); err != nil || len(mounts) != 1 || mounts[0].Data != "" {
			t.Errorf("got %+v, %v", mounts, err)
		}
	}
	if strings.Count(log.String(), "mountpoint=/var/lib/rancher/rke2/server/db") != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("logged %s", log.String())
	}
}

func TestLinksAreRelativeToTheRootOfTheNode(t *testing.T) {
	links := map[string]string{"/var": "disk/var", "/disk/var/lib": "/data/lib", "/data/lib/docker": "../docker", "/loop": "/loop"}
	readlink := func(p string) (string, error) {
		if to, ok := links[p]; ok {
			return to, nil
		}
		return "", syscall.EINVAL
	}
	for path, want := range map[string]string{
		"/opt/rainbond":           "/opt/rainbond",
		"/var/lib/docker/overlay": "/data/docker/overlay",
		"/disk":                   "/disk",
		"/loop":                   "/loop",
	} {
		if got := follow(path, readlink); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// nodeWith returns a node whose mounts answer as given.
func nodeWith(t *testing.T, mountinfo *string, answer func(path string) (fault.Filesystem, error)) *nodeMounts {
	generation := 0
	return &nodeMounts{
		log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
		rootfs:   "/",
		paths:    fault.DataPaths,
		self:     func() ([]*mountInfo, int, error) { generation++; return parseMounts(t, *mountinfo), generation, nil },
		readlink: func(string) (string, error) { return "", syscall.EINVAL },
		statfs:   answer,
		calls:    map[string]*call[fault.Filesystem]{},
		denied:   map[string]bool{},
	}
}

const (
	rootLine  = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	deadLine  = "30 25 0:70 / /mnt/dead rw - nfs4 nas:/dead rw\n"
	goodLine  = "31 25 0:71 / /mnt/good rw - nfs4 nas:/good rw\n"
	imageLine = "32 25 8:2 / /var/lib/containerd rw - xfs /dev/sdb rw\n"
)

// running returns how many calls have not returned yet.
func running() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte(").start.func1("))
}

func TestStuckMountOccupiesOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		var hanging atomic.Int32
		mountinfo := rootLine + deadLine + goodLine + imageLine
		n := nodeWith(t, &mountinfo, func(path string) (fault.Filesystem, error) {
			if path == "/mnt/dead" {
				hanging.Add(1)
				<-answer
			}
			return fault.Filesystem{Size: 100, Avail: 50}, nil
		})
		collect := func(wantWait time.Duration, want string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			began := time.Now()
			mounts, err := n.collect(ctx)
			if err != nil {
				t.Error(err)
			}
			var got []string
			for _, m := range mounts {
				got = append(got, fmt.Sprintf("%s %.0f %v", m.Point, m.Filesystem.Size, m.Err))
			}
			if got := strings.Join(got, "; "); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if waited := time.Since(began); waited != wantWait {
				t.Errorf("waited for %s, want %s", waited, wantWait)
			}
		}
		const stuck = "/var/lib/containerd 100 <nil>; /mnt/dead 0 no response since 2000-01-01T00:00:00Z; /mnt/good 100 <nil>"
		collect(statfsTimeout, stuck)
		for range 50 {
			collect(0, stuck)
		}
		synctest.Wait() // for the calls that have returned
		if waiting := running(); waiting != 1 || hanging.Load() != 1 {
			t.Errorf("after 50 collections %d goroutines wait, and %d calls hang", waiting, hanging.Load())
		}
		mountinfo = rootLine + goodLine // umount -l: the call still hangs, and it is no mount any more
		collect(0, "/mnt/good 100 <nil>")
		mountinfo = rootLine + deadLine
		collect(0, "/mnt/dead 0 no response since 2000-01-01T00:00:00Z")
		close(answer)
		synctest.Wait()
		collect(0, "/mnt/dead 100 <nil>")
		mountinfo = rootLine
		collect(0, "")
		if len(n.calls) != 0 {
			t.Errorf("%d calls of unmounted file systems are left", len(n.calls))
		}
	})
}

// TestReusedDeviceNumber mounts another file system with the same device number
// at the same place: the values of the first are not those of the second.
func TestReusedDeviceNumber(t *testing.T) {
	mountinfo := rootLine + goodLine
	size, failure := 100.0, error(nil)
	n := nodeWith(t, &mountinfo, func(string) (fault.Filesystem, error) { return fault.Filesystem{Size: size}, failure })
	collect := func(want string) {
		t.Helper()
		mounts, err := n.collect(t.Context())
		if err != nil || len(mounts) != 1 {
			t.Fatalf("got %+v, %v", mounts, err)
		}
		if got := fmt.Sprintf("%s %.0f %v", mounts[0].Source, mounts[0].Filesystem.Size, mounts[0].Err); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	collect("nas:/good 100 <nil>")
	failure = syscall.EIO
	collect("nas:/good 100 input/output error")
	mountinfo = rootLine + strings.Replace(goodLine, "nas:/good", "nas:/another", 1)
	collect("nas:/another 0 input/output error")
	mountinfo = rootLine + strings.Replace(goodLine, "31 25", "99 25", 1)
	collect("nas:/good 0 input/output error")
}

// TestAutofsIsNotTriggered expects no readlink below an automounter.
func TestAutofsIsNotTriggered(t *testing.T) {
	mountinfo := rootLine + "30 25 0:70 / /var/lib rw - autofs auto.lib rw\n"
	n := nodeWith(t, &mountinfo, func(path string) (fault.Filesystem, error) {
		t.Errorf("statfs %s", path)
		return fault.Filesystem{}, nil
	})
	n.readlink = func(path string) (string, error) {
		if strings.HasPrefix(path, "/var/lib/") {
			t.Errorf("readlink %s", path)
		}
		return "", syscall.EINVAL
	}
	if mounts, err := n.collect(t.Context()); err != nil || len(mounts) > 0 {
		t.Errorf("got %+v, %v", mounts, err)
	}
}

func TestNumberOfHangingCallsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		var hanging atomic.Int32
		mountinfo := rootLine
		n := nodeWith(t, &mountinfo, func(string) (fault.Filesystem, error) {
			hanging.Add(1)
			<-answer
			return fault.Filesystem{}, nil
		})
		for generation := range 3 { // each collection finds other mounts, as pods come and go
			mountinfo = rootLine
			for i := range 100 {
				mountinfo += fmt.Sprintf("%d 25 %d:%d / /mnt/%d-%d rw - nfs4 nas:/x rw\n", 100+i, generation, i+100, generation, i)
			}
			mounts, err := n.collect(t.Context())
			if want := []int{100, maxMounts - 100, 0}[generation]; len(mounts) != want || (err == nil) != (want == 100) {
				t.Errorf("collection %d: %d mounts, %v; want %d", generation, len(mounts), err, want)
			}
		}
		if hanging.Load() != maxMounts {
			t.Errorf("%d hang, want %d", hanging.Load(), maxMounts)
		}
		close(answer)
	})
}

func TestTooLittleTimeIsNoFinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		mountinfo := rootLine + deadLine
		n := nodeWith(t, &mountinfo, func(string) (fault.Filesystem, error) { <-answer; return fault.Filesystem{}, nil })
		ctx, cancel := context.WithTimeout(t.Context(), statfsTimeout/2)
		defer cancel()
		mounts, err := n.collect(ctx)
		if err == nil || len(mounts) != 1 || fault.Stuck(mounts[0].Err) {
			t.Errorf("got %+v, %v", mounts, err)
		}
		close(answer)
	})
}

// asRoot skips a test that needs root, which may mount.
func asRoot(t *testing.T, does string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("only root can %s", does)
	}
}

// TestFileSystemThatNeverAnswers mounts a FUSE file system whose server stops
// answering after the handshake, like a dead NFS server.
func TestFileSystemThatNeverAnswers(t *testing.T) {
	point := t.TempDir()
	die := mutefs.Mount(t, point)
	collect := newMounts(slog.New(slog.NewTextHandler(t.Output(), nil)), "/", nil, &mountTable{}).collect
	found := func() fault.Mount {
		t.Helper()
		mounts, err := collect(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, m := range mounts {
			if m.Point == point {
				return m
			}
		}
		t.Fatalf("%s is not among %+v", point, mounts)
		return fault.Mount{}
	}
	began := time.Now()
	m := found()
	if took := time.Since(began); !errors.Is(m.Err, fault.ErrNoAnswer) || !fault.Stuck(m.Err) || took < statfsTimeout || took > 5*statfsTimeout {
		t.Errorf("after %s: %+v", took, m)
	}
	began = time.Now()
	for range 20 {
		found()
	}
	// With one statfsTimeout each, it would be 40 s.
	if took := time.Since(began); took > 5*statfsTimeout {
		t.Errorf("20 more collections took %s", took)
	}
	if waiting := running(); waiting < 1 || waiting > 2 { // the stuck one, and perhaps another mount that is about to answer
		t.Errorf("after 21 collections %d goroutines wait", waiting)
	}
	die() // df: Transport endpoint is not connected
	for {
		m := found()
		if errors.Is(m.Err, syscall.ENOTCONN) || errors.Is(m.Err, syscall.ECONNABORTED) {
			if !fault.Stuck(m.Err) {
				t.Errorf("not stuck: %v", m.Err)
			}
			return
		}
		runtime.Gosched()
	}
}

// TestReservedBlocks fills an ext4 with 5 % reserved for the root user.
func TestReservedBlocks(t *testing.T) {
	asRoot(t, "mount an ext4 image")
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		t.Skip("no mkfs.ext4 here (Debian: e2fsprogs)")
	}
	image, point := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 4<<30); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), mkfs, "-q", "-m", "5", image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", image, point).CombinedOutput(); err != nil {
		t.Skipf("mount an image on a loop device: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) })
	empty, err := statfs(point)
	if err != nil {
		t.Fatal(err)
	}
	fill, err := os.Create(filepath.Join(point, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Fallocate(int(fill.Fd()), 0, 0, int64(empty.Size*0.8)), fill.Close()); err != nil {
		t.Fatal(err)
	}
	full, err := statfs(point)
	if err != nil {
		t.Fatal(err)
	}
	df, err := exec.CommandContext(t.Context(), "df", "--output=pcent", point).Output()
	if err != nil {
		t.Fatal(err)
	}
	used, _ := full.UsedRatio()
	avail, _ := full.AvailRatio()
	percent := int(100 * used)
	if float64(percent) < 100*used {
		percent++ // df rounds up
	}
	if got, want := fmt.Sprintf("%d%%", percent), strings.Fields(string(df))[1]; got != want {
		t.Errorf("got %s, df reports %s", got, want)
	}
	naive := 1 - full.Free/full.Size
	if reserved := 1 - avail - naive; reserved < 0.05 || reserved > 0.06 || used <= naive { // ext4 reserves a little more for itself
		t.Errorf("of the whole, %.4f is used, %.4f as df counts, %.4f as the kubelet counts; want 5 %% between the first and the last", naive, used, 1-avail)
	}
	t.Logf("used: %.1f %% of the whole, %.1f %% as df counts, %.1f %% as the kubelet counts", 100*naive, 100*used, 100*(1-avail))
}
