//go:build linux

package filesystem

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wsl2Line is a mount of WSL2, whose source has a space that is not escaped.
const wsl2Line = "110 90 0:50 / /usr/lib/wsl/drivers ro,nosuid,nodev,noatime - 9p drivers;with space ro,dirsync,aname=drivers;fmask=222,trans=fd\n"

func TestParseMountInfo(t *testing.T) {
	const good = "25 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw,errors=remount-ro\n"
	for _, row := range []struct{ name, text, want string }{
		{"a line of the kernel", good, "25 8:1 / /: /dev/sda1 ext4"},
		{"a source with a space, as on WSL2", wsl2Line, "110 0:50 / /usr/lib/wsl/drivers: drivers;with space 9p ro"},
		{"escapes", "30 25 8:2 /a\\040b /mnt/a\\040b\\134c rw - xfs /dev/my\\040disk rw\n", `30 8:2 /a\040b /mnt/a\040b\134c: /dev/my\040disk xfs`},
		{"colons and commas", "30 25 0:70 / /mnt/a:b,c rw - nfs4 [fe80::1%eth0]:/a:b rw,addr=10.0.0.9\n", "30 0:70 / /mnt/a:b,c: [fe80::1%eth0]:/a:b nfs4"},
		{"a hyphen in a path", "30 25 0:70 / /mnt/a-b rw - nfs4 - rw\n", "30 0:70 / /mnt/a-b: - nfs4"},
		{"no source", "30 25 0:70 / /mnt rw - tmpfs  rw\n", "30 0:70 / /mnt:  tmpfs"},
		{"no options of the file system", "30 25 0:70 / /mnt rw - tmpfs none\n", "30 0:70 / /mnt: none tmpfs"},
		{"a network namespace for a root", "30 25 0:4 net:[4026532281] /run/netns/a rw - nsfs nsfs rw\n", "30 0:4 net:[4026532281] /run/netns/a: nsfs nsfs"},
		{"malformed lines", "\n-\n - \nx y\n30 25 0:70 / /mnt rw\n30 25 0:70 / mnt rw - nfs4 a rw\n30 25 0:70 / /mnt rw - nfs4\n" + good, "25 8:1 / /: /dev/sda1 ext4"},
		{"a line that is cut off", good + "30 25 0:70 / /m", "25 8:1 / /: /dev/sda1 ext4"},
		{"nothing", "", ""},
	} {
		var got []string
		for _, m := range parseMountInfo([]byte(row.text)) {
			text := fmt.Sprintf("%s %s %s %s: %s %s", m.ID, m.MajorMinorVer, m.Root, m.MountPoint, m.Source, m.FSType)
			if readOnly(m, true) {
				text += " ro"
			}
			got = append(got, text)
		}
		if got := strings.Join(got, "\n"); got != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.name, got, row.want)
		}
	}
}

func TestChangedMountsAreReadAgain(t *testing.T) {
	asRoot(t, "mount a tmpfs")
	for name, path := range map[string]string{"this process": "", "a procfs": procfsOfThisProcess(t)} {
		table, point := &mountTable{procfs: path}, t.TempDir()
		read := func(wantGeneration int, wantMounted bool) {
			t.Helper()
			table.at = time.Time{} // in a later collection
			all, generation, err := table.read()
			if err != nil {
				t.Fatal(err)
			}
			if mounted := mountedAt(all, point) != nil; generation != wantGeneration || mounted != wantMounted {
				t.Errorf("%s: reading %d, mounted %v; want %d, %v", name, generation, mounted, wantGeneration, wantMounted)
			}
		}
		read(1, false)
		read(1, false)
		if err := unix.Mount("tmpfs", point, "tmpfs", 0, "size=64k"); err != nil {
			t.Skipf("mount a tmpfs: %v", err)
		}
		read(2, true)
		read(2, true)
		if err := unix.Mount("tmpfs", point, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		read(3, true)
		if err := unix.Unmount(point, 0); err != nil {
			t.Fatal(err)
		}
		read(4, false)
	}
	if _, _, err := (&mountTable{procfs: t.TempDir()}).read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a procfs without processes: %v", err)
	}
}

// procfsOfThisProcess returns a procfs whose first process is this one.
func procfsOfThisProcess(t *testing.T) string {
	path := t.TempDir()
	if err := os.Symlink("/proc/self", filepath.Join(path, "1")); err != nil {
		t.Fatal(err)
	}
	return path
}
