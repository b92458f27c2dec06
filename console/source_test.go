package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// configured opens a configuration in a directory of its own with the files of
// the named regions, NAME/ca.pem and so on.
func configured(t *testing.T, regions ...string) (s *Source, folder string) {
	t.Helper()
	folder = t.TempDir()
	text := "regions:\n"
	for _, name := range regions {
		text += fmt.Sprintf("  - {name: %[1]s, url: 'https://%[1]s:8443', ca_file: %[1]s/ca.pem, cert_file: %[1]s/client.pem, key_file: %[1]s/client.key.pem}\n", name)
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"ca.pem", "client.pem", "client.key.pem"} {
			write(t, filepath.Join(folder, name, file), file+" of "+name)
		}
	}
	write(t, filepath.Join(folder, "config.yaml"), text)
	s, err := Open(filepath.Join(folder, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return s, folder
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func summary(regions []fault.Region) string {
	var all []string
	for _, r := range regions {
		all = append(all, fmt.Sprintf("%s: %s", r.Name, r.CA))
	}
	return strings.Join(all, ", ")
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	for _, row := range []struct {
		name, want string
		make       func(path string) error
	}{
		{"a FIFO", "is a FIFO; expected a PEM file", func(path string) error { return unix.Mkfifo(path, 0o600) }},
		{"a directory", "is a directory; expected a PEM file", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"a device", "is a device; expected a PEM file", func(path string) error { return os.Symlink("/dev/zero", path) }},
		{"a socket", "is a socket; expected a PEM file", func(path string) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			defer func() { _ = unix.Close(fd) }()
			return unix.Bind(fd, &unix.SockaddrUnix{Name: path})
		}},
		{"a large file", "has more than 1048576 bytes; expected a PEM file", func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, maxFile+1)
		}},
		{"no file", "no such file or directory", func(string) error { return nil }},
		{"a link to itself", "too many levels of symbolic links", func(path string) error { return os.Symlink(path, path) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, folder := configured(t, "a", "b")
			path := filepath.Join(folder, "a", "client.pem")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := row.make(path); err != nil {
				t.Fatal(err)
			}
			regions, err := s.Regions(t.Context())
			if err != nil || len(regions) != 2 || regions[1].Err != nil {
				t.Fatalf("got %s, %v", summary(regions), err)
			}
			if err := regions[0].Err; err == nil || !strings.Contains(err.Error(), "cert_file: ") || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want an error with cert_file and %q", err, row.want)
			}
		})
	}
}

func TestSecretsAreReadFromRegularFilesAndDevNull(t *testing.T) {
	if text, err := readSecret(os.DevNull); len(text) > 0 || err != nil {
		t.Errorf("%s: %q, %v", os.DevNull, text, err)
	}
	if _, err := readSecret("/dev/zero"); err == nil || !strings.Contains(err.Error(), "in or below /dev: is a device") {
		t.Errorf("/dev/zero: %v", err)
	}
}

func TestUnavailableFilesAreUnknown(t *testing.T) {
	s, _ := configured(t, "a", "b")
	if regions, err := s.Regions(t.Context()); err != nil || len(regions) != 2 {
		t.Fatalf("%s, %v", summary(regions), err)
	}
	for _, err := range []error{unix.EMFILE, unix.ENFILE, unix.EACCES, unix.EIO, unix.ESTALE} {
		readOnce := s.files.read
		s.files.read = func(paths filePaths) (fileContent, error) {
			if strings.Contains(paths.ca, "/a/") {
				_, _ = readOnce(paths)
				return fileContent{}, &os.PathError{Op: "open", Path: paths.ca, Err: err}
			}
			return readOnce(paths)
		}
		regions, errRegions := s.Regions(t.Context())
		if got := summary(regions); got != "a: ca.pem of a, b: ca.pem of b" || !errors.Is(errRegions, err) || !strings.Contains(errRegions.Error(), `region "a": `) {
			t.Errorf("%v: got %s, %v", err, got, errRegions)
		}
		s.files.read = readOnce
	}
	if !isShortage(fmt.Errorf("open: %w", unix.EMFILE)) || isShortage(os.ErrNotExist) {
		t.Error("EMFILE is a shortage, a missing file is none")
	}
	fresh, _ := configured(t, "a", "b")
	fresh.files.read = func(paths filePaths) (fileContent, error) {
		if strings.Contains(paths.ca, "/a/") {
			panic("broken")
		}
		return paths.read()
	}
	regions, err := fresh.Regions(t.Context())
	if got := summary(regions); got != "b: ca.pem of b" || err == nil || !strings.Contains(err.Error(), "panic: broken") || !strings.Contains(err.Error(), "the region is unknown") {
		t.Errorf("never read: got %s, %v", got, err)
	}
}

// inBubble returns the number of goroutines of this test, without those of the
// runtime and of other tests.
func inBubble() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "synctest bubble")
}

// TestHangingFiles has a region below a file system that does not answer: its
// last known region is returned, the others are current, and one goroutine
// waits, even across reloads.
func TestHangingFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, folder := configured(t, "a", "b")
		limited := func() (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
			defer cancel()
			begin := time.Now()
			regions, err := s.Regions(ctx)
			if took := time.Since(begin); took > 200*time.Millisecond {
				t.Errorf("took %s; want a quarter of 800ms", took)
			}
			return summary(regions), err
		}
		if got, err := limited(); got != "a: ca.pem of a, b: ca.pem of b" || err != nil {
			t.Fatalf("%s, %v", got, err)
		}
		answer := make(chan struct{})
		s.files.read = func(paths filePaths) (fileContent, error) {
			if strings.Contains(paths.ca, "/a/") {
				<-answer
			}
			return paths.read()
		}
		write(t, filepath.Join(folder, "b", "ca.pem"), "changed")
		before := inBubble()
		for range 10 {
			got, err := limited()
			if got != "a: ca.pem of a, b: changed" || err == nil || !strings.Contains(err.Error(), `read the files of region "a": no answer within 200ms: context deadline exceeded; using what was read last`) {
				t.Errorf("got %s, %v", got, err)
			}
			if err := s.Reload(); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if more := inBubble() - before; more > 1 {
			t.Errorf("%d more goroutines, want 1", more)
		}
		if r, ok, err := s.Region(t.Context(), "b"); !ok || err != nil || string(r.CA) != "changed" {
			t.Errorf("region b: %s, %v, %v", r.CA, ok, err)
		}
		close(answer)
		if got, err := limited(); got != "a: ca.pem of a, b: changed" || err != nil {
			t.Errorf("afterwards: %s, %v", got, err)
		}
	})
}

func TestReloadForgetsRegions(t *testing.T) {
	s, folder := configured(t, "a", "b")
	if _, err := s.Regions(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "config.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(text), "https://a:", "https://elsewhere:", 1))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	now := s.current.Load()
	if _, ok := now.known["a"]; ok || len(now.known) != 1 {
		t.Errorf("after a reload without the old region a, known are %v", now.known)
	}
}

func TestReloadOpensTheDatabaseAgain(t *testing.T) {
	database, db := consoleFile(t)
	addRegion(t, db, "rainbond", "1", "a CA")
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, "console: {driver: sqlite, path: '"+database+"'}\n")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Regions(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, read := s.current.Load().database, s.LastRead()
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			if err := s.Reload(); err != nil {
				t.Error(err)
			}
		})
		wait.Go(func() {
			if regions, err := s.Regions(t.Context()); len(regions) != 1 || err != nil {
				t.Errorf("during a reload: %s, %v", summary(regions), err)
			}
		})
	}
	wait.Wait()
	now := s.current.Load().database
	if now == first {
		t.Error("the database is the same after a reload")
	}
	if now.LastRead().Before(read) {
		t.Error("a reload forgets when the database was read")
	}
	if _, err := first.Regions(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("the previous database returns %v, want that it is closed", err)
	}
	execute(t, db, "ALTER TABLE region_info RENAME TO elsewhere")
	if regions, err := s.Regions(t.Context()); summary(regions) != "rainbond: a CA" || err == nil {
		t.Errorf("after the reloads the last known regions are %s, %v", summary(regions), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestSourcesDoNotAffectEachOther has a database that hangs next to files.
func TestSourcesDoNotAffectEachOther(t *testing.T) {
	database, db := consoleFile(t)
	addRegion(t, db, "rainbond", "1", "a CA")
	s, folder := configured(t, "a")
	path := filepath.Join(folder, "config.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(text)+"console: {driver: sqlite, path: '"+database+"'}\n")
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if regions, err := s.Regions(t.Context()); summary(regions) != "a: ca.pem of a, rainbond: a CA" || err != nil {
		t.Fatalf("%s, %v", summary(regions), err)
	}
	read := s.LastRead()
	execute(t, db, "PRAGMA journal_mode = delete")
	locking, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer locking.Close()
	if _, err := locking.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
	defer cancel()
	regions, err := s.Regions(ctx)
	if summary(regions) != "a: ca.pem of a, rainbond: a CA" || err == nil || !strings.Contains(err.Error(), "using the 1 regions read at ") || ctx.Err() != nil {
		t.Errorf("while the database is locked: %s, %v, %v", summary(regions), err, ctx.Err())
	}
	if s.LastRead() != read {
		t.Error("the time of the last read advanced while the database was locked")
	}
	if _, ok, err := s.Region(ctx, "a"); !ok || err != nil {
		t.Errorf("the region of the files: %v, %v", ok, err)
	}
	if _, err := locking.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
}
