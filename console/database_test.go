package console

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// consoleTable is the table as the console's migrations make it, the columns
// that are not read left out, except one whose name is a reserved word.
const consoleTable = "CREATE TABLE region_info (ID INTEGER PRIMARY KEY, region_name VARCHAR(64) UNIQUE, url VARCHAR(256), token VARCHAR(255) NULL, status VARCHAR(2), `desc` VARCHAR(200), ssl_ca_cert TEXT NULL, cert_file TEXT NULL, key_file TEXT NULL)"

// consoleFile makes the console's SQLite file and keeps it open for writing
// in WAL mode, as the console does.
func consoleFile(t *testing.T) (path string, console *sql.DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "db file?x=1.sqlite3")
	console, err := sql.Open("sqlite", "file:"+strings.NewReplacer(" ", "%20", "?", "%3f").Replace(path)+"?_pragma=journal_mode(wal)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = console.Close() })
	execute(t, console, consoleTable)
	return path, console
}

func execute(t *testing.T, db *sql.DB, statement string, values ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, values...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func addRegion(t *testing.T, db *sql.DB, name, status string, ca any) {
	t.Helper()
	execute(t, db, "INSERT INTO region_info (region_name, url, token, status, ssl_ca_cert, cert_file, key_file) VALUES (?, 'https://rbd-api-api:8443', ' tok\n', ?, ?, 'a cert', 'a key')", name, status, ca)
}

func names(t *testing.T, c *Database) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	regions, err := c.Regions(ctx)
	var all []string
	for _, r := range regions {
		all = append(all, r.Name)
	}
	return strings.Join(all, " "), err
}

func TestRegionsInService(t *testing.T) {
	path, db := consoleFile(t)
	for _, row := range []struct{ name, status string }{{"edited", "0"}, {"rainbond", "1"}, {"disabled", "2"}, {"maintained", "3"}, {"another", "1"}} {
		addRegion(t, db, row.name, row.status, "a CA")
	}
	c, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := names(t, c); got != "another rainbond" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestColumnsContainPEMOrAPathOrNothing(t *testing.T) {
	path, db := consoleFile(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("a CA in a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	addRegion(t, db, "1-pem", "1", "a CA")
	addRegion(t, db, "2-path", "1", file)
	addRegion(t, db, "3-gone", "1", "/no/such/ca.pem")
	addRegion(t, db, "4-null", "1", nil)
	c, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	regions, err := c.Regions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a CA", "a CA in a file", "", ""} {
		r := regions[i]
		if string(r.CA) != want || string(r.Cert) != "a cert" || string(r.Key) != "a key" || string(r.Token) != "tok" {
			t.Errorf("%s: CA %q, certificate %q, token %q", r.Name, r.CA, r.Cert, string(r.Token))
		}
		if gone := r.Name == "3-gone"; gone != (r.Err != nil) {
			t.Errorf("%s: error %v", r.Name, r.Err)
		}
	}
}

func TestLastKnownRegionsOfAFailingDatabase(t *testing.T) {
	path, db := consoleFile(t)
	addRegion(t, db, "rainbond", "1", "a CA")
	c, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := names(t, c); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "ALTER TABLE region_info RENAME COLUMN ssl_ca_cert TO ca") // an older schema
	got, err := names(t, c)
	if got != "rainbond" || err == nil || !strings.Contains(err.Error(), "ssl_ca_cert") || !strings.Contains(err.Error(), "using the 1 regions read at ") {
		t.Errorf("got %q, %v", got, err)
	}
	if age := time.Since(c.LastRead()); age > time.Minute {
		t.Errorf("last read %s ago", age)
	}
	execute(t, db, "ALTER TABLE region_info RENAME COLUMN ca TO ssl_ca_cert")
	addRegion(t, db, "second", "1", "a CA")
	if got, err := names(t, c); got != "rainbond second" || err != nil {
		t.Errorf("after the repair: %q, %v", got, err)
	}
}

func TestDatabaseThatNeverAnswered(t *testing.T) {
	for _, row := range []struct {
		name string
		db   DatabaseConfig
		want string
	}{
		{"no file", DatabaseConfig{Driver: "sqlite", Path: "/no/such/db.sqlite3"}, "read region_info of the console's database: open /no/such/db.sqlite3: no such file or directory"},
		{"refused", DatabaseConfig{Driver: "mysql", Host: "127.0.0.1", Port: 1, User: "u", PasswordFile: "/dev/null", Database: "console"}, "connect: connection refused"},
		{"no password", DatabaseConfig{Driver: "mysql", Host: "127.0.0.1", Port: 1, User: "u", PasswordFile: "/no/such/file", Database: "console"}, "password_file: in or below /: no such file or directory; the name is not repeated, for it may be the secret itself"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := OpenDatabase(&row.db)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got, err := names(t, c); got != "" || err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %q, %v; want an error with %q", got, err, row.want)
			}
		})
	}
}

func TestSQLiteFileIsNeverWritten(t *testing.T) {
	path, _ := consoleFile(t)
	c, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file, release, err := c.open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = release() }()
	if _, err := file.ExecContext(t.Context(), "DELETE FROM region_info"); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("a write returned %v; want readonly", err)
	}
}

func TestReadWhileTheConsoleWrites(t *testing.T) {
	path, db := consoleFile(t)
	addRegion(t, db, "rainbond", "1", "a CA")
	c, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	writing, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writing.ExecContext(t.Context(), "UPDATE region_info SET region_name = 'half written'"); err != nil {
		t.Fatal(err)
	}
	if got, err := names(t, c); got != "rainbond" || err != nil {
		t.Errorf("while it writes: %q, %v", got, err)
	}
	if err := writing.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, err := names(t, c); got != "half written" || err != nil {
		t.Errorf("when it has: %q, %v", got, err)
	}
}

func TestLockedSQLiteFile(t *testing.T) {
	path, db := consoleFile(t)
	execute(t, db, "PRAGMA journal_mode = delete") // in which a writer excludes readers
	addRegion(t, db, "rainbond", "1", "a CA")
	c, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := names(t, c); got != "rainbond" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	locking, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer locking.Close()
	if _, err := locking.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	got, err := names(t, c)
	if got != "rainbond" || err == nil || !strings.Contains(err.Error(), "using the 1 regions read at ") {
		t.Errorf("while it is locked: %q, %v", got, err)
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("that took %s", took)
	}
	if _, err := locking.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if got, err := names(t, c); got != "rainbond" || err != nil {
		t.Errorf("when it is not: %q, %v", got, err)
	}
}

func TestOneRegionOfTheDatabase(t *testing.T) {
	path, db := consoleFile(t)
	execute(t, db, "DROP TABLE region_info")
	// As MySQL compares names by default: "Rainbond" = "rainbond".
	execute(t, db, strings.Replace(consoleTable, "region_name VARCHAR(64)", "region_name VARCHAR(64) COLLATE NOCASE", 1))
	for _, row := range []struct{ name, status string }{{"rainbond", "1"}, {"it's \"one\"\n", "1"}, {"disabled", "2"}} {
		addRegion(t, db, row.name, row.status, "a CA")
	}
	c, err := OpenDatabase(&DatabaseConfig{Driver: "sqlite", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	read := func() string {
		var seen []string
		for _, name := range []string{"rainbond", "Rainbond", "it's \"one\"\n", "disabled", "nobody"} {
			r, ok, err := c.Region(t.Context(), name)
			if ok {
				seen = append(seen, r.Name+" has "+string(r.CA))
			}
			if err != nil {
				seen = append(seen, "an error")
			}
		}
		return strings.Join(seen, ", ")
	}
	if got, want := read(), "rainbond has a CA, it's \"one\"\n has a CA"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, err := c.Names(t.Context()); strings.Join(got, ", ") != "it's \"one\"\n, rainbond" || err != nil {
		t.Errorf("the names are %q, %v", got, err)
	}
	execute(t, db, "ALTER TABLE region_info RENAME TO elsewhere")
	if got, want := read(), "rainbond has a CA, an error, an error, it's \"one\"\n has a CA, an error, an error, an error"; got != want {
		t.Errorf("while the database fails: got %q, want %q", got, want)
	}
	if got, err := c.Names(t.Context()); err == nil {
		t.Errorf("while the database fails the names are %q", got)
	}
}
