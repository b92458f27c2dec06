// Package console reads the console's regions from a real MariaDB, as the user
// that the README creates.
package console

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
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
	socket  string
	process *os.Process
	root    *sql.DB
}

func newServer(t *testing.T, options ...string) *server {
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
	s.socket = socket
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "mariadbd", append([]string{"--no-defaults", "--user=root", "--datadir=" + data, "--socket=" + socket,
		fmt.Sprintf("--port=%d", s.port), "--bind-address=127.0.0.1"}, options...)...)
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
	_ = mysql.SetLogger(discard{})
	until(t, func() error { return s.root.PingContext(t.Context()) })
	s.do(t, "CREATE DATABASE console; USE console; "+table)
	return s
}

// discard drops the driver's messages about a server that has not started.
type discard struct{}

func (discard) Print(...any) {}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// stopped is nil when every thread of a process is stopped. A signal only
// requests it, and a thread may still answer a query.
func stopped(pid int) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return fmt.Errorf("process %d has no threads: %w", pid, err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			return err
		}
		// The state follows the name, which is in parentheses (proc(5)).
		if _, after, _ := strings.Cut(string(text), ") "); !strings.HasPrefix(after, "T") {
			return fmt.Errorf("%s: state %.1s, want T", thread, after)
		}
	}
	return nil
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
	return open(t, console.DatabaseConfig{Host: "127.0.0.1", Port: s.port, User: "rainbond_exporter"})
}

// open opens the database of c with the password of the exporter.
func open(t *testing.T, config console.DatabaseConfig) *console.Database {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config.Driver, config.PasswordFile, config.Database = "mysql", file, "console"
	c, err := console.OpenDatabase(&config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// known returns the regions, and fails after a second.
func known(t *testing.T, c *console.Database) (names string, regions []fault.Region, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
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
	if r := regions[1]; string(r.CA) != "a CA" || string(r.Token) != "t0ken" || r.Err == nil || !strings.Contains(r.Err.Error(), "cert_file: open /no/such/client.pem") {
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
		read := c.LastRead()
		for range 5 {
			lastKnown(t, c, "read region_info of the console's database: ")
		}
		if c.LastRead() != read {
			t.Error("the time of the last read advanced while the table was locked")
		}
		var waiting int
		if err := s.root.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'rainbond_exporter' AND info LIKE 'SELECT region_name%'").Scan(&waiting); err != nil || waiting > 2 {
			t.Errorf("%d queries wait in the server, %v; want at most 2", waiting, err)
		}
		if _, err := lock.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
			t.Fatal(err)
		}
		until(t, func() error { _, _, err := known(t, c); return err })
	})
	t.Run("a server that hangs", func(t *testing.T) {
		if err := s.process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		until(t, func() error { return stopped(s.process.Pid) })
		lastKnown(t, c, "no answer within 1s: context deadline exceeded")
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

func TestMariaDBOverTLSAndOverASocket(t *testing.T) {
	authority, other := newPair(t, 1, nil), newPair(t, 2, nil)
	server, client := newPair(t, 3, &authority), newPair(t, 4, &authority)
	folder := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca, otherCA := write("ca.pem", authority.cert), write("other-ca.pem", other.cert)
	cert, key := write("client.pem", client.cert), write("client.key.pem", client.key)
	s := newServer(t, "--ssl-ca="+ca, "--ssl-cert="+write("server.pem", server.cert), "--ssl-key="+write("server.key.pem", server.key))
	s.do(t, "INSERT INTO console.region_info (region_id, region_name, status) VALUES ('1', 'rainbond', '1')")
	for user, require := range map[string]string{"plain": "NONE", "encrypted": "SSL", "mutual": "X509"} {
		s.do(t, fmt.Sprintf("CREATE USER %[1]s IDENTIFIED BY '%[2]s' REQUIRE %[3]s; GRANT SELECT ON console.region_info TO %[1]s", user, password, require))
	}
	host, name := "127.0.0.1", "rbd-db"
	for _, row := range []struct {
		name, user string
		socket     bool
		tls        *console.TLSConfig
		want       string // of the error; "": none
	}{
		{"a unix socket", "plain", true, nil, ""},
		{"no TLS", "plain", false, nil, ""},
		{"no TLS where it is required", "encrypted", false, nil, "the server requires TLS: then add console.tls to the configuration file"},
		{"TLS", "encrypted", false, &console.TLSConfig{CAFile: ca, ServerName: name}, ""},
		{"TLS with another CA", "encrypted", false, &console.TLSConfig{CAFile: otherCA, ServerName: name}, "certificate signed by unknown authority"},
		{"TLS with another name", "encrypted", false, &console.TLSConfig{CAFile: ca}, "cannot validate certificate for 127.0.0.1"},
		{"TLS with another name, not verified", "encrypted", false, &console.TLSConfig{InsecureSkipVerify: true}, ""},
		{"TLS without the client certificate", "mutual", false, &console.TLSConfig{CAFile: ca, ServerName: name}, "Access denied"},
		{"TLS with the client certificate", "mutual", false, &console.TLSConfig{CAFile: ca, ServerName: name, CertFile: cert, KeyFile: key}, ""},
		{"TLS without the CA file", "encrypted", false, &console.TLSConfig{CAFile: filepath.Join(folder, "none.pem")}, "tls.ca_file: open " + folder},
		{"TLS with a key for a certificate", "encrypted", false, &console.TLSConfig{CAFile: key}, "client.key.pem contains no certificate; expected PEM"},
		{"TLS with a certificate for a key", "encrypted", false, &console.TLSConfig{CertFile: cert, KeyFile: cert}, "tls.cert_file and tls.key_file: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := console.DatabaseConfig{Host: host, Port: s.port, User: row.user, TLS: row.tls}
			if row.socket {
				config.Host, config.Socket = "", s.socket
			}
			names, _, err := known(t, open(t, config))
			switch {
			case row.want == "" && (err != nil || names != "rainbond"):
				t.Errorf("got %q, %v", names, err)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), password)):
				t.Errorf("got %v, want an error with %q and without the password", err, row.want)
			}
			if row.tls != nil && row.want == "Access denied" && strings.Contains(err.Error(), "console.tls") {
				t.Errorf("%v recommends TLS, which is in use", err)
			}
		})
	}
	t.Run("a server that accepts TLS only", func(t *testing.T) {
		s.do(t, "SET GLOBAL require_secure_transport = ON")
		if _, _, err := known(t, open(t, console.DatabaseConfig{Host: host, Port: s.port, User: "plain"})); err == nil || !strings.Contains(err.Error(), "add console.tls to the configuration file") {
			t.Errorf("got %v, want an error with console.tls", err)
		}
	})
}

// A pair is a certificate and its key, as PEM.
type pair struct{ cert, key []byte }

// newPair returns a certificate for rbd-db that issuer signed, or a CA signed
// by itself.
func newPair(t *testing.T, serial int64, issuer *pair) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprint("pair ", serial)}, DNSNames: []string{"rbd-db"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: issuer == nil,
	}
	parent, signer := template, any(key)
	if issuer != nil {
		signing, err := tls.X509KeyPair(issuer.cert, issuer.key)
		if err != nil {
			t.Fatal(err)
		}
		parent, signer = signing.Leaf, signing.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})}
}

// lastKnown expects the last known regions and an error with why.
func lastKnown(t *testing.T, c *console.Database, why string) {
	t.Helper()
	names, _, err := known(t, c)
	if !strings.HasSuffix(names, "rainbond") || err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "using the 2 regions read at") {
		t.Errorf("got %q, %v; want the two regions and an error with %q", names, err, why)
	}
}

// TestMariaDBFailover models a database behind one address (a virtual IP, or
// the Service of a replicated MariaDB) that moves to another server.
func TestMariaDBFailover(t *testing.T) {
	first, second := newServer(t), newServer(t)
	for i, s := range []*server{first, second} {
		s.do(t, grants(t))
		s.do(t, fmt.Sprintf("INSERT INTO console.region_info (region_id, region_name, status) VALUES ('1', 'of server %d', '1')", i+1))
	}
	address := newAddress(t, first.port)
	c := open(t, console.DatabaseConfig{Host: "127.0.0.1", Port: address.port, User: "rainbond_exporter"})
	expect := func(want string) {
		t.Helper()
		until(t, func() error {
			names, _, err := known(t, c)
			if err == nil && names != want {
				err = fmt.Errorf("got %q, want %q", names, want)
			}
			return err
		})
	}
	expect("of server 1")

	// The first server hangs with open connections, as after a power loss.
	if err := first.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, func() error { return stopped(first.process.Pid) })
	address.target.Store(int64(second.port))
	expect("of server 2")

	// The second server ends, and the first one is back.
	if err := first.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	address.target.Store(int64(first.port))
	if err := second.process.Kill(); err != nil {
		t.Fatal(err)
	}
	expect("of server 1")
}

// An address forwards connections to the port target.
type address struct {
	port   int
	target atomic.Int64
}

func newAddress(t *testing.T, target int) *address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &address{port: l.Addr().(*net.TCPAddr).Port}
	a.target.Store(int64(target))
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", a.target.Load()))
			if err != nil {
				_ = in.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				}()
			}
		}
	}()
	return a
}
