// Package console reads the console's regions from a real MariaDB, as the user
// that the README creates.
package console

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/rainbond-exporter/rainbond-exporter/console"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// table is region_info as the console's migrations make it (rainbond-console,
// www/models/main.py, RegionConfig).
const table = "CREATE TABLE region_info (ID INT PRIMARY KEY AUTO_INCREMENT, region_id VARCHAR(36) UNIQUE, region_name VARCHAR(64) UNIQUE, " +
	"region_alias VARCHAR(64), url VARCHAR(256), wsurl VARCHAR(256), token VARCHAR(255) NULL, status VARCHAR(2), `desc` VARCHAR(200), " +
	"ssl_ca_cert TEXT NULL, cert_file TEXT NULL, key_file TEXT NULL, enterprise_id VARCHAR(36) NULL)"

const password = "p4ssw0rd-of-the-exporter"

// A server is a MariaDB with the console's database.
type server struct {
	port    int
	process *os.Process
	root    *sql.DB
}

func newServer(t *testing.T) *server {
	t.Helper()
	for _, program := range []string{"mariadbd", "mariadb-install-db"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed (Debian: mariadb-server)", program)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("mariadbd is started as root here, and we are not")
	}
	data := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mariadb-install-db", "--no-defaults", "--user=root",
		"--auth-root-authentication-method=normal", "--datadir="+data, "--skip-test-db").CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	s := &server{port: freePort(t)}
	socket := filepath.Join(data, "s")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "mariadbd", "--no-defaults", "--user=root", "--datadir="+data, "--socket="+socket,
		fmt.Sprintf("--port=%d", s.port), "--bind-address=127.0.0.1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = cmd.Process
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var err error
	if s.root, err = sql.Open("mysql", "root@unix("+socket+")/?multiStatements=true"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.root.Close() })
	_ = mysql.SetLogger(silent{})
	until(t, func() error { return s.root.PingContext(t.Context()) })
	s.do(t, "CREATE DATABASE console; USE console; "+table)
	return s
}

// silent drops the driver's messages about a server that has not started.
type silent struct{}

func (silent) Print(...any) {}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func until(t *testing.T, ok func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func (s *server) do(t *testing.T, statement string) {
	t.Helper()
	if _, err := s.root.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// grants are the statements in docs/configuration.md, with a password.
func grants(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(page)
	if block == nil || !strings.Contains(string(block[1]), "'…'") {
		t.Fatal("docs/configuration.md shows no user to create")
	}
	return strings.Replace(string(block[1]), "…", password, 1)
}

func (s *server) console(t *testing.T) *console.Database {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := console.OpenDatabase(&console.DatabaseConfig{Driver: "mysql", Host: "127.0.0.1", Port: s.port, User: "rainbond_exporter", PasswordFile: file, Database: "console"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// known returns the regions, and fails after two seconds.
func known(t *testing.T, c *console.Database) (names string, regions []fault.Region, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	regions, err = c.Regions(ctx)
	var all []string
	for _, r := range regions {
		all = append(all, r.Name)
	}
	return strings.Join(all, ", "), regions, err
}

func TestMariaDBUserOfTheREADME(t *testing.T) {
	s := newServer(t)
	s.do(t, grants(t))
	s.do(t, `INSERT INTO console.region_info (region_id, region_name, url, token, status, ssl_ca_cert, cert_file, key_file) VALUES
		('1', 'rainbond', 'https://rbd-api-api:8443', 't0ken', '1', 'a CA', '/no/such/client.pem', NULL),
		('2', 'it''s "quoted"\n', 'https://10.0.0.1:8443', NULL, '1', NULL, NULL, NULL),
		('3', 'disabled', 'https://10.0.0.2:8443', NULL, '2', NULL, NULL, NULL)`)
	c := s.console(t)
	names, regions, err := known(t, c)
	if want := "it's \"quoted\"\n, rainbond"; names != want || err != nil {
		t.Fatalf("got %q, %v; want %q", names, err, want)
	}
	if r := regions[1]; string(r.CA) != "a CA" || string(r.Token) != "t0ken" || r.Err == nil || !strings.Contains(r.Err.Error(), "cert_file: stat /no/such/client.pem") {
		t.Errorf("CA %q, token %q, error %v", r.CA, string(r.Token), r.Err)
	}

	user, err := sql.Open("mysql", fmt.Sprintf("rainbond_exporter:%s@tcp(127.0.0.1:%d)/console", password, s.port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = user.Close() }()
	for _, statement := range []string{"SELECT enterprise_id FROM region_info", "SELECT * FROM region_info", "UPDATE region_info SET status = '2'", "SELECT User FROM mysql.user"} {
		if _, err := user.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "denied") {
			t.Errorf("%s: %v; want it to be denied", statement, err)
		}
	}

	t.Run("an older schema", func(t *testing.T) {
		s.do(t, "ALTER TABLE console.region_info CHANGE ssl_ca_cert ca TEXT NULL")
		defer s.do(t, "ALTER TABLE console.region_info CHANGE ca ssl_ca_cert TEXT NULL")
		lastKnown(t, c, "ssl_ca_cert")
	})
	t.Run("a table that is locked", func(t *testing.T) {
		lock, err := s.root.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = lock.Close() }()
		if _, err := lock.ExecContext(t.Context(), "LOCK TABLES console.region_info WRITE"); err != nil {
			t.Fatal(err)
		}
		lastKnown(t, c, "deadline exceeded")
		if _, err := lock.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a server that hangs", func(t *testing.T) {
		if err := s.process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		lastKnown(t, c, "context deadline exceeded")
		if err := s.process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("recovered", func(t *testing.T) {
		until(t, func() error { _, _, err := known(t, c); return err })
	})
	t.Run("a wrong password", func(t *testing.T) {
		s.do(t, "SET PASSWORD FOR rainbond_exporter = PASSWORD('another'); KILL USER rainbond_exporter")
		lastKnown(t, c, "")
		_, _, err := known(t, c)
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("error %v; want one without the password", err)
		}
	})
}

// lastKnown expects the last known regions and an error with why.
func lastKnown(t *testing.T, c *console.Database, why string) {
	t.Helper()
	names, _, err := known(t, c)
	if !strings.HasSuffix(names, "rainbond") || err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "using the 2 regions read at") {
		t.Errorf("got %q, %v; want the two regions and an error with %q", names, err, why)
	}
}
