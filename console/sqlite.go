package console

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/rainbond-exporter/rainbond-exporter/configfile"
)

// openSQLite opens the console's SQLite file for one read, read-only. Each
// read opens the file again, because the file can be replaced, restored or
// deleted while a connection still reads the old one.
func openSQLite(path string) (*sql.DB, func() error, error) {
	file, err := configfile.Open(path, "a SQLite database")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close() }()
	immutable, err := isReadOnlyWAL(path, file)
	if err != nil {
		return nil, nil, err
	}
	db, err := sql.Open("sqlite", sqliteDSN(path, immutable))
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	return db, db.Close, nil
}

// sqliteDSN returns the driver's name of a file: read-only, waiting up to 2 s
// for a writer.
func sqliteDSN(path string, immutable bool) string {
	query := "mode=ro&_pragma=busy_timeout(2000)&_pragma=query_only(1)"
	if immutable {
		query += "&immutable=1"
	}
	// The path is escaped, so that no part of it becomes a parameter.
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query}
	return dsn.String()
}

// isReadOnlyWAL reports whether a file is in WAL mode, has no WAL, and is in a
// directory in which none can be made. SQLite opens such a file only as
// immutable (sqlite.org/wal.html#read_only_databases). Nothing is missed then:
// the writer that stopped has merged its WAL, and another one would make one.
func isReadOnlyWAL(path string, file *os.File) (bool, error) {
	header := make([]byte, 20)
	if _, err := file.ReadAt(header, 0); errors.Is(err, io.EOF) {
		return false, nil // empty or cut off, which SQLite reports
	} else if err != nil {
		return false, err
	}
	if header[18] != 2 && header[19] != 2 { // the file format's read and write version
		return false, nil
	}
	if isWritableFolder(path) || exists(path+"-shm") {
		return false, nil
	}
	if exists(path + "-wal") {
		return false, fmt.Errorf("%s-wal has changes that cannot be read: %s-shm is missing, and its directory is not writable", path, path)
	}
	return true, nil
}

// exists reports whether there is a file at path, or whether that is unknown.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
