package fault

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// UsedRatio is the used part of the file system as df counts it: what the
// root user keeps for itself (the reserved blocks) is neither used nor
// available. False when the file system has no blocks.
func (f Filesystem) UsedRatio() (float64, bool) {
	used := f.Size - f.Free
	if used+f.Avail <= 0 {
		return 0, false
	}
	return used / (used + f.Avail), true
}

// AvailRatio is the available part of the file system as the kubelet counts
// it before it evicts: the reserved blocks are not available, but are part of
// the whole. False when the file system has no blocks.
func (f Filesystem) AvailRatio() (float64, bool) {
	if f.Size <= 0 {
		return 0, false
	}
	return f.Avail / f.Size, true
}

// DataPaths are the folders that fill a node's disks, whichever way
// Kubernetes and Rainbond were installed.
var DataPaths = []string{
	"/var/lib/kubelet",     // the kubelet's nodefs
	"/var/lib/containerd",  // images, of kubeadm
	"/var/lib/docker",      // images, of old and of quick installs
	"/var/lib/rancher",     // of K3s and RKE2: images, etcd
	"/opt/rainbond",        // volumes, caches, templates
	"/opt/rainbond/k3s",    // of quick installs: images, the database of K3s
	"/opt/rainbond/grdata", // what components share
}

// DataMounts are the names that the file system of a data path can have: the
// paths and the folders above them, except for the root.
var DataMounts = func() []string {
	var all []string
	for _, path := range DataPaths {
		for ; path != ""; path = path[:strings.LastIndexByte(path, '/')] {
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}()

// A Mount is a file system of a node other than its root.
type Mount struct {
	Point        string // where it is mounted on the node
	Source, Type string
	// Data names it, from DataMounts, when a data path lies on it: by the
	// mount point, or by the path when that leads there by a link.
	Data       string
	Filesystem Filesystem // what it said last; At is zero when it never did
	Err        error      // why it says nothing now
}

// ErrNoAnswer is the error of a file system that keeps its askers waiting.
var ErrNoAnswer = errors.New("has not answered")

// gone are the answers of file systems whose server or device is not there.
var gone = []syscall.Errno{
	syscall.ENOTCONN, // the process behind a FUSE mount has died
	syscall.ESTALE,   // the NFS server no longer knows what was mounted
	syscall.EIO, syscall.ETIMEDOUT, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
	syscall.ENETUNREACH, syscall.ECONNREFUSED, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.ESHUTDOWN,
}

// Stuck says whether err is that of a file system that is mounted and cannot
// be used. One that merely refuses us (a FUSE mount of another user) is well.
func Stuck(err error) bool {
	var errno syscall.Errno
	return errors.Is(err, ErrNoAnswer) || errors.As(err, &errno) && slices.Contains(gone, errno)
}

// remote are the types of file systems that ask somebody else, a server or a
// process, and can therefore wait for ever. Others starting with "fuse." do too.
var remote = []string{
	"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "lustre", "beegfs", "gpfs", "afs", "glusterfs", "gfs2", "ocfs2",
	"virtiofs", "fuse", "fuseblk",
}

// Remote says whether a file system of this type, as mountinfo names it, asks
// somebody else.
func Remote(fstype string) bool {
	return slices.Contains(remote, fstype) || strings.HasPrefix(fstype, "fuse.")
}

// An EvictionThreshold is the part of a file system below which the kubelet
// of a node evicts pods.
type EvictionThreshold struct {
	Node   string
	Signal string // one of EvictionSignals
	Ratio  float64
}

// EvictionSignals are the kubelet's signals about disks.
var EvictionSignals = []string{"nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"}

// EvictionRatio reads a threshold of the kubelet's evictionHard that is given
// in percent. False for one that never evicts (0 % and 100 %, as in the
// kubelet) and for a quantity, such as 10Gi.
func EvictionRatio(threshold string) (float64, bool) {
	percent, ok := strings.CutSuffix(threshold, "%")
	if !ok {
		return 0, false
	}
	value, err := strconv.ParseFloat(percent, 64)
	return value / 100, err == nil && value > 0 && value < 100
}
