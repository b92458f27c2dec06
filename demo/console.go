package demo

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// The files in the demo's folder.
const (
	kubeconfigFile = "kubeconfig"
	configFile     = "rainbond-exporter.yaml"

	caFile   = "ca.pem"
	certFile = "client.pem"
	keyFile  = "client.key.pem"

	tableFile = "db.sqlite3"
)

// secondName is the name of the second region in the console.
const secondName = "second"

// A folder is the directory of the demo's files, which only their owner can
// read.
type folder string

func newFolder() (folder, error) {
	path, err := os.MkdirTemp("", "rainbond-demo-")
	return folder(path), err
}

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

// write replaces a file atomically.
func (f folder) write(name, text string) error {
	fresh := f.path(name + ".new")
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, f.path(name))
}

// writeKubeconfig writes a kubeconfig for the simulated cluster. It contains no
// credentials.
func (f folder) writeKubeconfig(server, namespace string) error {
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

// writeConsole writes the console's regions and the PEM files that they name,
// and removes the files that the console does not have.
func (f folder) writeConsole(ctx context.Context, w *world) error {
	switch w.installation.console {
	case consoleUnknown:
		return nil
	case consoleDatabase:
		if err := f.writeTable(ctx, []row{f.ownRow(w)}); err != nil {
			return err
		}
		return f.write(configFile, "# The console's database, with the table region_info.\nconsole:\n  driver: sqlite\n  path: "+tableFile+"\n")
	}
	regions := map[string]*world{RegionName: w, secondName: w.second}
	text := "# The console's copy of its regions, as its table region_info would hold it.\nregions:\n"
	for _, name := range []string{RegionName, secondName} {
		in := regions[name]
		for _, file := range []string{caFile, certFile, keyFile} {
			if err := f.put(copyOf(name, file), in, file); err != nil {
				return err
			}
		}
		if in != nil {
			text += fmt.Sprintf("  - name: %s\n    url: %s\n    ca_file: %s\n    cert_file: %s\n    key_file: %s\n",
				name, in.url, copyOf(name, caFile), copyOf(name, certFile), copyOf(name, keyFile))
		}
	}
	if err := f.writeTable(ctx, w.table); err != nil {
		return err
	}
	if w.table != nil {
		text += "console:\n  driver: sqlite\n  path: " + tableFile + "\n"
	}
	return f.write(configFile, text)
}

// copyOf returns the name of a region's copy of the file.
func copyOf(region, file string) string {
	if region == RegionName {
		return file
	}
	return region + "." + file
}

// put writes a file of a region, or removes it if the console does not have it.
func (f folder) put(name string, in *world, file string) error {
	if in != nil {
		if text, ok := in.console[file]; ok {
			return f.write(name, text)
		}
	}
	return f.remove(name)
}

func (f folder) remove(name string) error {
	if err := os.Remove(f.path(name)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// A row is one of the table region_info.
type row struct {
	name, status  string
	url           string // "" is one that does not respond
	ca, cert, key string // PEM, or an absolute path
}

// ownRow returns the row of the region. The column of a file that does not exist
// contains a path.
func (f folder) ownRow(w *world) row {
	column := func(file string) string {
		if text, ok := w.console[file]; ok {
			return text
		}
		return f.path(file)
	}
	return row{name: RegionName, status: "1", url: w.url, ca: column(caFile), cert: column(certFile), key: column(keyFile)}
}

// lockTable locks the console's database, as another process does that hangs in
// a transaction. The caller closes the result to release the lock.
func (f folder) lockTable(ctx context.Context) (*sql.DB, error) {
	db, err := sql.Open("sqlite", f.path(tableFile))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // which holds the transaction
	if _, err := db.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// writeTable creates the console's database with the columns that the exporter
// reads. Without rows there is no database.
func (f folder) writeTable(ctx context.Context, rows []row) (err error) {
	if err := f.remove(tableFile); err != nil || rows == nil {
		return err
	}
	if err := f.write(tableFile, ""); err != nil { // with mode 0600
		return err
	}
	db, err := sql.Open("sqlite", f.path(tableFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "CREATE TABLE region_info (region_name, url, ssl_ca_cert, cert_file, key_file, token, status)"); err != nil {
		return err
	}
	for _, r := range rows {
		if _, err := db.ExecContext(ctx, "INSERT INTO region_info (region_name, url, ssl_ca_cert, cert_file, key_file, status) VALUES (?, ?, ?, ?, ?, ?)",
			r.name, cmp.Or(r.url, "https://"+r.name+".rainbond.invalid:8443"), r.ca, r.cert, r.key, r.status); err != nil {
			return err
		}
	}
	return nil
}
