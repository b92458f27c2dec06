package demo

import (
	"fmt"
	"os"
	"path/filepath"
)

// The files in the demo's folder.
const (
	kubeconfigFile = "kubeconfig"
	configFile     = "rainbond-exporter.yaml"

	caFile   = "ca.pem"
	certFile = "client.pem"
	keyFile  = "client.key.pem"
)

// A folder holds the demo's files; nobody else may read them.
type folder string

func newFolder() (folder, error) {
	path, err := os.MkdirTemp("", "rainbond-demo-")
	return folder(path), err
}

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

// write replaces a file whole, so that no reader sees half of it.
func (f folder) write(name, text string) error {
	fresh := f.path(name + ".new")
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, f.path(name))
}

// writeKubeconfig leads kubectl and client-go to the simulated cluster. It
// needs no credentials: what is there is worth nothing.
func (f folder) writeKubeconfig(server string) error {
	return f.write(kubeconfigFile, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: demo
  cluster:
    server: %s
users:
- name: demo
  user: {}
contexts:
- name: demo
  context:
    cluster: demo
    user: demo
    namespace: %s
current-context: demo
`, server, namespace))
}

// writeConsole writes what the console holds: the region's row, and the PEM
// files that it names. A file that the console does not hold is removed.
func (f folder) writeConsole(w *world) error {
	for _, name := range []string{caFile, certFile, keyFile} {
		text, ok := w.console[name]
		if !ok {
			if err := os.Remove(f.path(name)); err != nil && !os.IsNotExist(err) {
				return err
			}
			continue
		}
		if err := f.write(name, text); err != nil {
			return err
		}
	}
	return f.write(configFile, fmt.Sprintf(`# The console's copy of the region, as its table region_info would hold it.
regions:
  - name: rainbond
    url: %s
    ca_file: %s
    cert_file: %s
    key_file: %s
`, w.url, caFile, certFile, keyFile))
}
