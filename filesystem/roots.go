//go:build linux

package filesystem

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rainbond-exporter/rainbond-exporter/configfile"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// rootFiles are where installations set the root directories of the kubelet and
// the container runtime. A file that cannot be read is ignored.
var rootFiles = []string{
	"/etc/docker/daemon.json", "/etc/containerd/config.toml",
	"/etc/rancher/*/config.yaml", "/etc/rancher/*/config.yaml.d/*.yaml",
	"/etc/systemd/system/docker.service", "/etc/systemd/system/docker.service.d/*.conf",
	"/etc/systemd/system/k3s*.service", "/etc/systemd/system/rke2*.service", "/usr/local/lib/systemd/system/rke2*.service",
	"/etc/default/kubelet", "/etc/sysconfig/kubelet", "/var/lib/kubelet/kubeadm-flags.env",
	"/etc/systemd/system/kubelet.service", "/etc/systemd/system/kubelet.service.d/*.conf", "/usr/lib/systemd/system/kubelet.service.d/*.conf",
}

// rootSetting matches a root directory in such a file: a key in JSON or YAML, a
// flag, or root at the top level of the configuration of containerd.
var rootSetting = regexp.MustCompile(`(?m)(?:^[^#\n]*?\b(?:data-root|graph|data-dir|root-dir)["']?(?:[ \t]*[:=][ \t]*|[\s\\]+)|^root[ \t]*=[ \t]*)["']?(/[^\s"',#]*)`)

const (
	maxRootFile = 1 << 20 // bytes
	maxRoots    = 16      // of a node
)

// roots returns the root directories of the kubelet and the container runtime
// that are set in files of the node. It reads no file on a mount that may block.
func (n *nodeMounts) roots(node []nodeMount, readlink func(string) (string, error)) []string {
	var found []string
	for _, pattern := range n.rootFiles {
		fixed, rest, some := strings.Cut(pattern, "*")
		if some {
			fixed, rest = path.Dir(fixed), strings.TrimPrefix(pattern, path.Dir(fixed))
		}
		fixed = follow(fixed, readlink)
		if mayBlock(node, fixed) {
			continue
		}
		names, _ := fs.Glob(os.DirFS(n.rootfs), fixed[1:]+rest) // the only error is a malformed pattern
		for _, name := range names {
			file := follow("/"+name, readlink)
			if mayBlock(node, file) {
				continue
			}
			text, err := configfile.Read(path.Join(n.rootfs, file), "a configuration file", maxRootFile)
			if err != nil {
				continue
			}
			for _, setting := range rootSetting.FindAllSubmatch(text, -1) {
				if root := path.Clean(string(setting[1])); root != "/" && len(found) < maxRoots && !slices.Contains(found, root) {
					found = append(found, root)
				}
			}
		}
	}
	return found
}

// mayBlock reports whether a path is on a mount that depends on a server.
func mayBlock(node []nodeMount, p string) bool {
	m, ok := holder(node, p)
	return ok && (m.FSType == autofs || fault.Remote(m.FSType))
}
