package filesystem

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTheMountsAreReadAgainWhenTheyHaveChanged(t *testing.T) {
	asRoot(t, "mount a tmpfs")
	for name, path := range map[string]string{"our own": "", "those of a procfs": procfsOfOurs(t)} {
		table, point := &mountTable{procfs: path}, t.TempDir()
		read := func(wantGeneration int, wantMounted bool) {
			t.Helper()
			table.at = time.Time{} // in a later look
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

// procfsOfOurs is a procfs whose first process is this one.
func procfsOfOurs(t *testing.T) string {
	path := t.TempDir()
	if err := os.Symlink("/proc/self", filepath.Join(path, "1")); err != nil {
		t.Fatal(err)
	}
	return path
}
