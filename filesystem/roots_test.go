//go:build linux

package filesystem

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// TestRootDirectoriesOfTheNode reads files below a root that is not "/".
func TestRootDirectoriesOfTheNode(t *testing.T) {
	for _, row := range []struct{ name, file, text, want string }{
		{"Docker", "/etc/docker/daemon.json", `{"log-driver": "json-file", "data-root": "/data/docker/"}`, "/data/docker"},
		{"old Docker", "/etc/docker/daemon.json", `{"graph":"/data/docker"}`, "/data/docker"},
		{"containerd", "/etc/containerd/config.toml", "version = 2\nroot = \"/data/containerd\"\nstate = \"/run/containerd\"\n[plugins.x]\n  root_path = \"/x\"\n", "/data/containerd"},
		{"RKE2", "/etc/rancher/rke2/config.yaml", "token: a\ndata-dir: /data/rke2 # large\nkubelet-arg:\n  - \"root-dir=/data/kubelet\"\n  - max-pods=200\n", "/data/rke2 /data/kubelet"},
		{"K3s, a drop-in", "/etc/rancher/k3s/config.yaml.d/disk.yaml", "\"data-dir\": '/data/k3s'\n", "/data/k3s"},
		{"K3s, by its installer", "/etc/systemd/system/k3s.service", "ExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--data-dir' \\\n\t'/data/k3s' \\\n", "/data/k3s"},
		{"kubeadm", "/var/lib/kubelet/kubeadm-flags.env", `KUBELET_KUBEADM_ARGS="--pod-infra-container-image=pause:3.9 --root-dir=/data/kubelet"`, "/data/kubelet"},
		{"a unit of systemd", "/etc/systemd/system/kubelet.service.d/10.conf", "Environment=\"KUBELET_EXTRA_ARGS=--root-dir /data/kubelet\"\n", "/data/kubelet"},
		{"a comment", "/etc/rancher/rke2/config.yaml", "# data-dir: /data/rke2\n", ""},
		{"the root directory, a relative path, a variable", "/etc/default/kubelet", "A=--root-dir=/\nB=--root-dir=kubelet\nC=--root-dir=${DIR}\n", ""},
		{"no text", "/etc/docker/daemon.json", "\x00\xff", ""},
		{"too long", "/etc/docker/daemon.json", `{"data-root": "/data/docker"}` + strings.Repeat(" ", maxRootFile), ""},
	} {
		rootfs := t.TempDir()
		write(t, filepath.Join(rootfs, row.file), row.text)
		n := newMounts(slog.New(slog.DiscardHandler), rootfs, nil, &mountTable{})
		if got := strings.Join(found(n, rootLine), " "); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

// found returns the data paths that are not in fault.DataPaths.
func found(n *nodeMounts, mounts string) []string {
	var names []string
	for _, p := range n.follow(below(parseMountInfo([]byte(mounts)), "/"))[len(fault.DataPaths):] {
		names = append(names, p.name)
	}
	return names
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLinksToRootDirectories follows links relative to the root of the node, of
// directories, of a file, and of the root directory of Docker.
func TestLinksToRootDirectories(t *testing.T) {
	rootfs := t.TempDir()
	write(t, filepath.Join(rootfs, "conf/docker.json"), `{"data-root": "/srv/docker"}`)
	write(t, filepath.Join(rootfs, "data/rancher/rke2/config.yaml"), "data-dir: /data/rke2\n")
	for link, to := range map[string]string{"etc/docker/daemon.json": "/conf/docker.json", "etc/rancher": "/data/rancher", "srv/docker": "/disk/docker", "etc/containerd/config.toml": "/dev/zero"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(rootfs, link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(rootfs, link)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(rootfs, "etc/systemd/system/.keep"), "")
	if err := syscall.Mkfifo(filepath.Join(rootfs, "etc/systemd/system/kubelet.service"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := newMounts(slog.New(slog.DiscardHandler), rootfs, nil, &mountTable{})
	if got := fmt.Sprint(found(n, rootLine)); got != "[/srv/docker /data/rke2]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(found(n, rootLine+"30 25 0:70 / /conf rw - nfs4 nas:/conf rw\n31 25 0:71 / /data rw - autofs auto.data rw\n")); got != "[]" {
		t.Errorf("from mounts that may block: %s", got)
	}
	n.statfs = func(string) (fault.Filesystem, error) { return fault.Filesystem{Size: 100}, nil }
	n.self = func() ([]*mountInfo, int, error) {
		return parseMountInfo(fmt.Appendf(nil, "25 1 8:1 / %[1]s ro - ext4 /dev/sda rw\n30 25 8:2 / %[1]s/disk ro - xfs /dev/sdb rw\n31 25 8:3 / %[1]s/data/rke2/agent ro - xfs /dev/sdc rw\n", rootfs)), 1, nil
	}
	mounts, err := n.collect(t.Context())
	var got []string
	for _, m := range mounts {
		got = append(got, m.Data)
	}
	if want := "/srv/docker /data/rke2/agent"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %q, %v; want %s", got, err, want)
	}
}
