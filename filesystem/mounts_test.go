package filesystem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

func TestTheFileSystemsThatFillAreFoundByTheirDevices(t *testing.T) {
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
		{"one disk behind two bind mounts is asked once", "/", root + "30 25 8:2 / /data rw - xfs /dev/sdb rw\n31 25 8:2 /docker /var/lib/docker rw - xfs /dev/sdb rw\n32 25 8:2 /rb /opt/rainbond rw - xfs /dev/sdb rw\n", "",
			"/var/lib/docker as /var/lib/docker (/dev/sdb xfs)"},
		{"a link to a disk of data", "/", root + "30 25 8:2 / /data rw - xfs /dev/sdb rw\n", "/var/lib/docker=/data/docker", "/data as /var/lib/docker (/dev/sdb xfs)"},
		{"a link to a folder of root", "/", root + "30 25 8:2 / /data rw - xfs /dev/sdb rw\n", "/var/lib/docker=/srv/docker", ""},
		{"a later mount covers an earlier", "/", root + "30 25 8:2 / /opt/rainbond rw - xfs /dev/sdb rw\n31 30 8:1 /x /opt/rainbond rw - ext4 /dev/sda1 rw\n", "", ""},
		{"in a container", "/host", "1 0 0:50 / / rw - overlay overlay rw\n2 1 8:1 / /host ro - ext4 /dev/sda1 rw\n3 2 8:2 / /host/var ro - xfs /dev/sda2 rw\n4 1 0:99 / /mine rw - nfs4 s:/x rw\n5 1 8:9 / /hostel rw - nfs s:/y rw\n", "",
			"/var as /var (/dev/sda2 xfs)"},
		{"what might not answer", "/", root + "30 25 0:70 / /mnt/my\\040nas rw - nfs4 10.0.0.9:/a rw\n31 25 0:70 /sub /srv/sub rw - nfs4 10.0.0.9:/a/sub rw\n32 25 0:71 / /mnt/s3 rw - fuse.s3fs s3fs rw\n33 25 0:72 / /run/x rw - tmpfs tmpfs rw\n", "",
			"/mnt/my nas as  (10.0.0.9:/a nfs4); /mnt/s3 as  (s3fs fuse.s3fs)"},
		{"shared folders on NFS fill as well", "/", root + "30 25 0:70 / /opt/rainbond/grdata rw - nfs4 nas:/grdata rw\n", "", "/opt/rainbond/grdata as /opt/rainbond/grdata (nas:/grdata nfs4)"},
		{"no mount of ours", "/", "", "", ""},
	} {
		real := map[string]string{}
		for _, link := range strings.Fields(row.links) {
			from, to, _ := strings.Cut(link, "=")
			real[from] = to
		}
		var got []string
		for _, w := range choose(below(parseMounts(t, row.mounts), row.rootfs), real) {
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

func TestEveryNameOfADataMountIsListed(t *testing.T) {
	want := "/opt /opt/rainbond /opt/rainbond/grdata /opt/rainbond/k3s /var /var/lib /var/lib/containerd /var/lib/docker /var/lib/kubelet /var/lib/rancher"
	if got := strings.Join(fault.DataMounts, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLinksAreFollowedAsFromTheNodesRoot(t *testing.T) {
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

// nodeWith is a node whose mounts answer as told.
func nodeWith(t *testing.T, mountinfo *string, answer func(path string) (fault.Filesystem, error)) *nodeMounts {
	generation := 0
	return &nodeMounts{
		rootfs:   "/",
		own:      func() ([]*mountInfo, int, error) { generation++; return parseMounts(t, *mountinfo), generation, nil },
		readlink: func(string) (string, error) { return "", syscall.EINVAL },
		statfs:   answer,
		asked:    map[string]*ask[fault.Filesystem]{},
	}
}

const (
	rootLine  = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	deadLine  = "30 25 0:70 / /mnt/dead rw - nfs4 nas:/dead rw\n"
	wellLine  = "31 25 0:71 / /mnt/well rw - nfs4 nas:/well rw\n"
	imageLine = "32 25 8:2 / /var/lib/containerd rw - xfs /dev/sdb rw\n"
)

// asking is how many goroutines have put a question that is not answered yet.
func asking() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte(").put.func1("))
}

func TestAStuckMountIsNamedAndWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		var hanging atomic.Int32
		mountinfo := rootLine + deadLine + wellLine + imageLine
		n := nodeWith(t, &mountinfo, func(path string) (fault.Filesystem, error) {
			if path == "/mnt/dead" {
				hanging.Add(1)
				<-answer
			}
			return fault.Filesystem{Size: 100, Avail: 50}, nil
		})
		look := func(wantWait time.Duration, want string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			began := time.Now()
			mounts, err := n.look(ctx)
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
		const stuck = "/var/lib/containerd 100 <nil>; /mnt/dead 0 no response since 2000-01-01T00:00:00Z; /mnt/well 100 <nil>"
		look(patience, stuck)
		for range 50 {
			look(0, stuck)
		}
		synctest.Wait() // for those who have answered to be gone
		if waiting := asking(); waiting != 1 || hanging.Load() != 1 {
			t.Errorf("after 50 looks %d goroutines wait for an answer, and %d questions hang", waiting, hanging.Load())
		}
		mountinfo = rootLine + wellLine // umount -l: it hangs on, and is no mount any more
		look(0, "/mnt/well 100 <nil>")
		mountinfo = rootLine + deadLine
		look(0, "/mnt/dead 0 no response since 2000-01-01T00:00:00Z")
		close(answer)
		synctest.Wait()
		look(0, "/mnt/dead 100 <nil>")
		mountinfo = rootLine
		look(0, "")
		if len(n.asked) != 0 {
			t.Errorf("%d mounts are remembered that are gone", len(n.asked))
		}
	})
}

func TestWhatHangsIsBoundedInNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		var hanging atomic.Int32
		mountinfo := rootLine
		n := nodeWith(t, &mountinfo, func(string) (fault.Filesystem, error) {
			hanging.Add(1)
			<-answer
			return fault.Filesystem{}, nil
		})
		for generation := range 3 { // each look finds other mounts, as pods come and go
			mountinfo = rootLine
			for i := range 100 {
				mountinfo += fmt.Sprintf("%d 25 %d:%d / /mnt/%d-%d rw - nfs4 nas:/x rw\n", 100+i, generation, i+100, generation, i)
			}
			told, err := n.look(t.Context())
			if want := []int{100, mostMounts - 100, 0}[generation]; len(told) != want || (err == nil) != (want == 100) {
				t.Errorf("look %d: %d told, %v; want %d", generation, len(told), err, want)
			}
		}
		if hanging.Load() != mostMounts {
			t.Errorf("%d hang, want %d", hanging.Load(), mostMounts)
		}
		close(answer)
	})
}

func TestALookThatHasNoTimeIsNoFinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		mountinfo := rootLine + deadLine
		n := nodeWith(t, &mountinfo, func(string) (fault.Filesystem, error) { <-answer; return fault.Filesystem{}, nil })
		ctx, cancel := context.WithTimeout(t.Context(), patience/2)
		defer cancel()
		told, err := n.look(ctx)
		if err == nil || len(told) != 1 || fault.Stuck(told[0].Err) {
			t.Errorf("told %+v, %v", told, err)
		}
		close(answer)
	})
}

// asRoot skips unless we are root, who may mount.
func asRoot(t *testing.T, does string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("%s, as only root may", does)
	}
}

// TestAFileSystemThatNeverAnswersIsNamed mounts a FUSE file system whose
// server shakes hands and falls silent, as a dead NFS server does.
func TestAFileSystemThatNeverAnswersIsNamed(t *testing.T) {
	point := t.TempDir()
	die := mutefs.Mount(t, point)
	look := newMounts("/", &mountTable{}).look
	found := func() fault.Mount {
		t.Helper()
		mounts, err := look(t.Context())
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
	if took := time.Since(began); !errors.Is(m.Err, fault.ErrNoAnswer) || !fault.Stuck(m.Err) || took < patience || took > 5*patience {
		t.Errorf("after %s: %+v", took, m)
	}
	began = time.Now()
	for range 20 {
		found()
	}
	// One patience each would be 40 s.
	if took := time.Since(began); took > 5*patience {
		t.Errorf("20 more looks took %s", took)
	}
	if waiting := asking(); waiting < 1 || waiting > 2 { // the mute one, and another mount that is about to answer
		t.Errorf("after 21 looks %d goroutines wait for an answer", waiting)
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

// TestReservedBlocksSeparateDfFromTheKubelet fills an ext4 that keeps 5 % for
// the root user.
func TestReservedBlocksSeparateDfFromTheKubelet(t *testing.T) {
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
		t.Errorf("we say %s, df %s", got, want)
	}
	naive := 1 - full.Free/full.Size
	if kept := 1 - avail - naive; kept < 0.05 || kept > 0.06 || used <= naive { // ext4 keeps a little more for itself
		t.Errorf("of the whole %.4f is used, by df's count %.4f, by the kubelet's %.4f; want 5 %% between the first and the last", naive, used, 1-avail)
	}
	t.Logf("used: %.1f %% of the whole, %.1f %% as df counts, %.1f %% as the kubelet counts", 100*naive, 100*used, 100*(1-avail))
}
