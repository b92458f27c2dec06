//go:build linux

// Package mutefs mounts file systems that never answer, as those of a dead NFS
// server do not: their FUSE server shakes hands and stops responding.
package mutefs

import (
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// Mount mounts a mute file system at point until the test ends. The returned
// function lets its server die. Without root or FUSE the test is skipped.
func Mount(t testing.TB, point string) (die func()) {
	t.Helper()
	if unix.Geteuid() != 0 {
		t.Skip("mounting a FUSE file system needs root")
	}
	// Not through os.OpenFile: a read under way would keep the file open.
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("open /dev/fuse: %v", err)
	}
	if err := unix.Mount("mute", point, "fuse.mute", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)); err != nil {
		_ = unix.Close(fd)
		t.Skipf("mount a FUSE file system: %v", err)
	}
	gone := false
	die = func() {
		if !gone {
			_ = unix.Close(fd)
			gone = true
		}
	}
	t.Cleanup(func() { die(); _ = unix.Unmount(point, unix.MNT_DETACH) })
	shakeHands(t, fd)
	return die
}

// shakeHands answers FUSE_INIT (linux/fuse.h), the kernel's first request.
func shakeHands(t testing.TB, fd int) {
	t.Helper()
	request := make([]byte, 1<<16)
	if _, err := unix.Read(fd, request); err != nil {
		t.Fatal(err)
	}
	const headerSize, initSize, initOp = 16, 64, 26
	if op := binary.NativeEndian.Uint32(request[4:]); op != initOp {
		t.Fatalf("the kernel's first request is %d, want FUSE_INIT", op)
	}
	answer := make([]byte, headerSize+initSize)
	put := func(at int, value uint32) { binary.NativeEndian.PutUint32(answer[at:], value) }
	put(0, headerSize+initSize)
	copy(answer[8:16], request[8:16]) // which request this answers
	put(headerSize, 7)                // the protocol's version
	put(headerSize+4, 31)
	put(headerSize+20, 4096) // max_write
	if _, err := unix.Write(fd, answer); err != nil {
		t.Fatal(err)
	}
}
