package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// maxFile is the most that is read of a file that should hold one PEM: a
// hundred times a chain of RSA-4096 certificates.
const maxFile = 1 << 20

// Regions returns the console's copy of every region, from the configuration's
// files and from the console's database; where both know a name, the files
// count. The files are read anew on each call. A file that cannot be read is a
// finding, not an error: the region then bears it as Err. When the database
// does not answer, the regions known last come back beside the error.
func (f *Source) Regions(ctx context.Context) ([]fault.Region, error) {
	now := f.current.Load()
	var regions []fault.Region
	named := map[string]bool{}
	for _, files := range now.Regions {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		named[files.Name] = true
		regions = append(regions, files.read())
	}
	if now.console == nil {
		return regions, nil
	}
	kept, err := now.console.Regions(ctx)
	for _, r := range kept {
		if !named[r.Name] {
			regions = append(regions, r)
		}
	}
	return regions, err
}

// Region returns the region of that name; false when there is none. Only this
// region's files, or its row of the console's database, are read; for what
// comes back beside an error see Regions.
func (f *Source) Region(ctx context.Context, name string) (fault.Region, bool, error) {
	now := f.current.Load()
	for _, files := range now.Regions {
		if files.Name == name {
			return files.read(), true, nil
		}
	}
	if now.console == nil {
		return fault.Region{}, false, nil
	}
	return now.console.Region(ctx, name)
}

// Names lists the regions, without reading what is known of them.
func (f *Source) Names(ctx context.Context) ([]string, error) {
	now := f.current.Load()
	var names []string
	for _, files := range now.Regions {
		names = append(names, files.Name)
	}
	if now.console == nil {
		return names, nil
	}
	kept, err := now.console.Names(ctx)
	for _, name := range kept {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, err
}

// LastRead is when the console's database last answered; zero when it never
// did, or when the configuration names none.
func (f *Source) LastRead() time.Time {
	if console := f.current.Load().console; console != nil {
		return console.LastRead()
	}
	return time.Time{}
}

func (r FileRegion) read() fault.Region {
	region := fault.Region{Name: r.Name, URL: r.URL, ServerName: r.ServerName, Place: fault.Console}
	var errs []error
	read := func(key, path string) []byte {
		readFile := readFile
		if key == "token_file" {
			readFile = readSecret
		}
		text, err := readFile(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
		return text
	}
	region.CA = read("ca_file", r.CAFile)
	region.Cert = read("cert_file", r.CertFile)
	region.Key = read("key_file", r.KeyFile)
	if r.TokenFile != "" {
		region.Token = bytes.TrimSpace(read("token_file", r.TokenFile))
	}
	region.Err = errors.Join(errs...)
	return region
}

// readFile returns the content of a file of sensible size.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is a folder; expected a PEM file")}
	case info.Size() > maxFile:
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("has %d bytes; expected a PEM file of at most %d", info.Size(), maxFile)}
	}
	return os.ReadFile(path)
}

// readSecret returns the content of a file that holds a secret. Its name is
// not repeated: people write the secret itself where its file should stand.
func readSecret(path string) ([]byte, error) {
	text, err := readFile(path)
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		folder := filepath.Dir(path)
		for !isFolder(folder) && folder != filepath.Dir(folder) {
			folder = filepath.Dir(folder)
		}
		return nil, fmt.Errorf("in or below %s: %w; the name is not repeated, for it may be the secret itself", folder, p.Err)
	}
	return text, err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
