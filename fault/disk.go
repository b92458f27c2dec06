package fault

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// UsedRatio returns the used part of the file system, from 0 to 1, as df
// calculates it: blocks reserved for root are neither used nor available. It is
// false when the file system has no blocks.
func (f Filesystem) UsedRatio() (float64, bool) {
	used := f.Size - f.Free
	if used+f.Avail <= 0 {
		return 0, false
	}
	return used / (used + f.Avail), true
}

// AvailRatio returns the available part of the file system, from 0 to 1, as the
// kubelet calculates it for eviction: reserved blocks are not available, but
// count as part of the size. It is false when the file system has no blocks.
func (f Filesystem) AvailRatio() (float64, bool) {
	if f.Size <= 0 {
		return 0, false
	}
	return f.Avail / f.Size, true
}

// DataPaths lists the directories in which Kubernetes and Rainbond store data,
// in any way of installation.
var DataPaths = []string{
	"/var/lib/kubelet",     // the kubelet's nodefs
	"/var/lib/containerd",  // images, on kubeadm
	"/var/lib/docker",      // images, on old and quick installations
	"/var/lib/rancher",     // on K3s and RKE2: images, etcd
	"/opt/rainbond",        // volumes, caches, templates
	"/opt/rainbond/k3s",    // on quick installations: images, the database of K3s
	"/opt/rainbond/grdata", // data shared by components
	"/grdata",              // the same, as components and old installations name it
}

// A Mount is a file system of a node other than its root.
type Mount struct {
	Point        string // where it is mounted on the node
	Source, Type string
	// Data is the name of a file system that contains data, "" of any other:
	// its mount point, or the data path when a symbolic link leads there.
	Data       string
	Filesystem Filesystem // the last statistics read; At is zero when there are none
	Err        error      // why statistics cannot be read now
}

// ErrNoAnswer is the error of a file system that does not respond in time.
var ErrNoAnswer = errors.New("no response")

// stuckErrors are the errors of file systems whose server or device is gone.
var stuckErrors = []syscall.Errno{
	syscall.ENOTCONN, // the process behind a FUSE mount has died
	syscall.ESTALE,   // the NFS server no longer knows what was mounted
	syscall.EIO, syscall.ETIMEDOUT, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
	syscall.ENETUNREACH, syscall.ECONNREFUSED, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.ESHUTDOWN,
}

// Stuck reports whether err comes from a file system that is mounted and cannot
// be used. A file system that only denies access to us (a FUSE mount of another
// user) is not stuck.
func Stuck(err error) bool {
	var errno syscall.Errno
	return errors.Is(err, ErrNoAnswer) || errors.As(err, &errno) && slices.Contains(stuckErrors, errno)
}

// remote lists the types of file systems that depend on a server or on another
// process, and can therefore block forever. All types with the prefix "fuse."
// do as well.
var remote = []string{
	"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "lustre", "beegfs", "gpfs", "afs", "glusterfs", "gfs2", "ocfs2",
	"virtiofs", "fuse", "fuseblk",
}

// Remote reports whether a file system of this type, as named in mountinfo,
// depends on a server or on another process.
func Remote(fstype string) bool {
	return slices.Contains(remote, fstype) || strings.HasPrefix(fstype, "fuse.")
}

// noData lists the types of file systems that use no space of their own, or are
// full when they are made.
var noData = []string{"overlay", "aufs", "nsfs", "proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "fuse.lxcfs", "squashfs", "erofs", "iso9660", "udf"}

// ofContainer matches what the kubelet, Docker and containerd mount for one
// container or one volume of an application.
var ofContainer = regexp.MustCompile(`/pods/[^/]+/volume|/plugins/|/containers/[^/]+/mounts/|/tmpmounts/|/devicemapper/mnt/|/zfs/graph/|/rootfs(/|$)`)

// HoldsData reports whether a file system of this type, as named in mountinfo,
// with this mount point below a data path can be filled by the platform.
func HoldsData(fstype, point string) bool {
	return !slices.Contains(noData, fstype) && !ofContainer.MatchString(point)
}

// An EvictionThreshold is the available part of a file system below which the
// kubelet of a node evicts pods.
type EvictionThreshold struct {
	Node   string
	Signal string // one of EvictionSignals
	Ratio  float64
}

// EvictionSignals are the kubelet's signals about disks.
var EvictionSignals = []string{"nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"}

// EvictionRatio parses a percentage in the kubelet's evictionHard and returns it
// as a number from 0 to 1. It is false for 0% and 100%, which disable eviction
// in the kubelet, and for a quantity such as 10Gi.
func EvictionRatio(threshold string) (float64, bool) {
	percent, ok := strings.CutSuffix(threshold, "%")
	if !ok {
		return 0, false
	}
	value, err := strconv.ParseFloat(percent, 64)
	return value / 100, err == nil && value > 0 && value < 100
}
