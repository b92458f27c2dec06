package console

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// closedFile makes a closed SQLite file at path with one region.
func closedFile(t *testing.T, path, region, journal string) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode("+journal+")")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, db, consoleTable)
	addRegion(t, db, region, "1", "a CA")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReplacedSQLiteFile(t *testing.T) {
	for _, journal := range []string{"wal", "delete"} {
		t.Run(journal, func(t *testing.T) {
			folder := t.TempDir()
			path, backup := filepath.Join(folder, "db.sqlite3"), filepath.Join(folder, "backup.sqlite3")
			closedFile(t, path, "before", journal)
			closedFile(t, backup, "after", journal)
			d, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			expect := func(when, want, wantErr string) {
				t.Helper()
				got, err := names(t, d)
				if got != want || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
					t.Errorf("%s: got %q, %v; want %q and an error with %q", when, got, err, want, wantErr)
				}
			}
			expect("at first", "before", "")
			saved, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(backup, path); err != nil {
				t.Fatal(err)
			}
			expect("replaced by rename", "after", "")
			read := d.LastRead()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			expect("deleted", "after", "no such file or directory; using the 1 regions read at ")
			if d.LastRead() != read {
				t.Error("the time of the last read advanced without a file")
			}
			if err := os.WriteFile(path, saved, 0o600); err != nil {
				t.Fatal(err)
			}
			expect("restored", "before", "")
			if err := os.WriteFile(path, saved[:len(saved)/2], 0o600); err != nil {
				t.Fatal(err)
			}
			expect("cut in half", "before", "malformed")
			if err := os.WriteFile(path, saved, 0o600); err != nil {
				t.Fatal(err)
			}
			expect("overwritten in place", "before", "")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			expect("a FIFO", "before", "is a FIFO; expected a SQLite database")
		})
	}
}

func TestSQLiteFileOnAReadOnlyMount(t *testing.T) {
	for _, journal := range []string{"wal", "delete"} {
		t.Run(journal, func(t *testing.T) {
			folder, point := t.TempDir(), t.TempDir()
			closedFile(t, filepath.Join(folder, "db.sqlite3"), "rainbond", journal)
			if err := unix.Mount(folder, point, "", unix.MS_BIND, ""); err != nil {
				t.Skipf("mount: %v", err)
			}
			t.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) })
			if err := unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
				t.Skipf("mount read-only: %v", err)
			}
			d, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: filepath.Join(point, "db.sqlite3")})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if got, err := names(t, d); got != "rainbond" || err != nil {
				t.Errorf("with the writer stopped: %q, %v", got, err)
			}
			// The writer starts again, on its writable mount, and has not merged its WAL.
			writer, err := sql.Open("sqlite", filepath.Join(folder, "db.sqlite3")+"?_pragma=wal_autocheckpoint(0)")
			if err != nil {
				t.Fatal(err)
			}
			defer writer.Close()
			addRegion(t, writer, "second", "1", "a CA")
			if got, err := names(t, d); got != "rainbond second" || err != nil {
				t.Errorf("with the writer running: %q, %v", got, err)
			}
		})
	}
}

func TestSQLiteFileWhoseWriterWasKilled(t *testing.T) {
	path, db := consoleFile(t)
	addRegion(t, db, "rainbond", "1", "a CA")
	// A copy of the database and its WAL without the shared memory is what a
	// killed writer leaves after a reboot.
	folder, point := t.TempDir(), t.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "db.sqlite3"+suffix), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount(folder, point, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) })
	if err := unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("mount read-only: %v", err)
	}
	d, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: filepath.Join(point, "db.sqlite3")})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := names(t, d)
	if got != "" || err == nil || !strings.Contains(err.Error(), "db.sqlite3-wal has changes that cannot be read: ") {
		t.Errorf("got %q, %v; want an error about the WAL", got, err)
	}
}

func TestNamesThatBecomeEqualAreDistinguished(t *testing.T) {
	path, db := consoleFile(t)
	for _, name := range []string{"a\xff", "a\xfe", "b"} {
		execute(t, db, "INSERT INTO region_info (region_name, url, status) VALUES (CAST(? AS TEXT), ?, '1')", []byte(name), "https://"+string(name[len(name)-1]%16+'a')+":8443")
	}
	d, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const want = "a\uFFFD a\uFFFD~2 b"
	if got, err := names(t, d); got != want || err != nil {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if got, err := d.Names(t.Context()); strings.Join(got, " ") != want || err != nil {
		t.Errorf("the names are %q, %v; want %q", got, err, want)
	}
	all, _ := d.Regions(t.Context())
	for _, r := range all {
		one, ok, err := d.Region(t.Context(), r.Name)
		if !ok || err != nil || one.URL != r.URL {
			t.Errorf("%q: %v, %v, %v; want %s", r.Name, one.URL, ok, err, r.URL)
		}
	}
	if age := time.Since(d.LastRead()); age > time.Minute {
		t.Errorf("last read %s ago", age)
	}
}
