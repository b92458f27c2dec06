//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// A world is a whole site: a region and its console's copy of it, those who
// watch, and the person who is notified.
type world struct {
	kube     *platform
	api      *regionAPI
	console  *console
	disk     *disk     // nil when we may not mount one
	exporter *exporter // of the cluster role
	node     *exporter // of the node role; nil without a disk
	alerting *alerting
	current  pki.Generation // what the operator made last
	stale    pki.Generation // what a client still has
	token    string         // the exporter's
}

// newWorld starts everything in a healthy state.
func newWorld(t testing.TB) *world {
	t.Helper()
	folder, logs := t.TempDir(), logFolder(t)
	g := generation(t)
	w := &world{current: g, api: &regionAPI{t: t, address: freeAddress(t), folder: sub(t, folder, "rbd-api"), logs: logs}}

	c := newCluster(t, sub(t, folder, "kube"), logs)
	k := newKubelet(t, c.ca)
	w.kube = newPlatform(t, c, k, w.api.address, g)
	w.api.log = k.runs(namespace, podOf("rbd-api"), "rbd-api")
	w.api.mount(g)
	w.api.start(t)
	progress("the region API is ready on %s", w.api.address)

	w.console = newConsole(t, sub(t, folder, "console"), w.api.address)
	w.console.paste(t, g)
	w.token = c.token(t, namespace, account)
	kubeconfig := filepath.Join(folder, "kubeconfig")
	write(t, kubeconfig, c.kubeconfig(t, w.token))
	w.exporter = newExporter(t, logs, "exporter-cluster", "--role=cluster", "--kubeconfig="+kubeconfig, "--config.file="+w.console.config)
	targets := []string{w.exporter.address}

	if w.disk = newDisk(t, sub(t, folder, "disk")); w.disk != nil {
		w.node = newExporter(t, logs, "exporter-node", "--role=node", "--node.name=worker-1",
			"--path.rootfs="+w.disk.rootfs, "--path.procfs="+w.disk.procfs)
		targets = append(targets, w.node.address)
	}
	w.alerting = newAlerting(t, sub(t, folder, "alerting"), logs, targets...)
	return w
}

// generation is a new CA and what it signed, as the operator makes them but
// with shorter keys.
func generation(t testing.TB) pki.Generation {
	t.Helper()
	g, err := pki.New(2048, net.IPv4(127, 0, 0, 1))
	must(t, err)
	return g
}

// sub makes a folder in a folder.
func sub(t testing.TB, folder, name string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	must(t, os.Mkdir(path, 0o700))
	return path
}

// A console is the console's copy of the region, as the exporter reads it.
type console struct {
	folder string
	config string // path of the exporter's configuration file
}

func newConsole(t testing.TB, folder, region string) *console {
	t.Helper()
	c := &console{folder: folder, config: filepath.Join(folder, "rainbond-exporter.yaml")}
	write(t, c.config, fmt.Appendf(nil, `regions:
  - name: rainbond
    url: https://%s
    ca_file: ca.pem
    cert_file: client.pem
    key_file: client.key.pem
`, region))
	return c
}

// paste is what an administrator does after a rotation: copy the three PEMs
// of region-config into the console.
func (c *console) paste(t testing.TB, g pki.Generation) {
	t.Helper()
	write(t, filepath.Join(c.folder, "ca.pem"), g.CA)
	write(t, filepath.Join(c.folder, "client.pem"), g.Client)
	write(t, filepath.Join(c.folder, "client.key.pem"), g.ClientKey)
}

// A disk is a real file system, small enough to fill.
type disk struct{ rootfs, procfs string }

// diskSize is the size of the disk in bytes.
const diskSize = 64 << 20

// newDisk mounts a tmpfs that a node's exporter takes for its root, or
// returns nil, with a word, when we may not mount.
func newDisk(t testing.TB, folder string) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		progress("SKIPPED: only root may mount the small disk; the values of the node role are not checked")
		return nil
	}
	d := &disk{rootfs: sub(t, folder, "rootfs"), procfs: sub(t, folder, "proc")}
	if err := syscall.Mount("tmpfs", d.rootfs, "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=1000", diskSize)); err != nil {
		progress("SKIPPED: no small disk here (mount: %v); the values of the node role are not checked", err)
		return nil
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.rootfs, syscall.MNT_DETACH) })
	// The line of such a root in the node's /proc/1/mountinfo.
	write(t, filepath.Join(sub(t, d.procfs, "1"), "mountinfo"), []byte("24 1 0:20 / / rw,relatime shared:1 - tmpfs tmpfs rw,size=65536k\n"))
	return d
}

// fill writes until that part of the disk is used.
func (d *disk) fill(t testing.TB, part float64) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(d.rootfs, "images"), make([]byte, int(part*diskSize)), 0o600))
}

// clean removes what fill wrote.
func (d *disk) clean(t testing.TB) {
	t.Helper()
	must(t, os.Remove(filepath.Join(d.rootfs, "images")))
}
