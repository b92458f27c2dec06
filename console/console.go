package console

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// inService is the status of a region that people use; 0 is being edited, 2
// is disabled, 3 is under maintenance (rainbond-console, www/models/main.py,
// RegionConfig.status).
const inService = "1"

// The queries ask for the columns we need and no others, so that the user may
// be granted just these. Names are unique in the table.
const (
	fromRegions = " FROM region_info WHERE status = '" + inService + "'"
	nameQuery   = "SELECT region_name" + fromRegions + " ORDER BY region_name"
	oneQuery    = "SELECT region_name, url, ssl_ca_cert, cert_file, key_file, token" + fromRegions + " AND region_name = ?"
	regionQuery = "SELECT region_name, url, ssl_ca_cert, cert_file, key_file, token" + fromRegions + " ORDER BY region_name"
)

// connectTimeout is how long a connection to the database may take to open.
const connectTimeout = 5 * time.Second

// maxRegions bounds what a broken table can make us hold.
const maxRegions = 10_000

var errTooMany = fmt.Errorf("more than %d regions in service", maxRegions)

// legible is a name as it may stand in a label.
func legible(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// A Database reads the regions from the console's own database, and remembers
// them: when the database is away, those known last are still told, beside
// the error.
type Database struct {
	db     *sql.DB
	folder string // where file paths in the table start; "" is the root
	mu     sync.Mutex
	known  map[string]fault.Region // as read last, by name
	lastAt time.Time
}

// OpenDatabase prepares the database of c. Nothing is asked yet.
func OpenDatabase(c *DatabaseConfig) (*Database, error) {
	open := mysqlPool
	if c.Driver == "sqlite" {
		open = sqlitePool
	}
	db, err := open(c)
	if err != nil {
		return nil, fmt.Errorf("open the console's database: %w", err)
	}
	db.SetMaxOpenConns(2)
	db.SetConnMaxIdleTime(2 * time.Minute)
	return &Database{db: db}, nil
}

// Close ends the connections to the database.
func (c *Database) Close() error { return c.db.Close() }

// Regions returns the regions in service. When the database does not answer,
// or answers something else, the regions known last come back beside an error
// that says since when they are old.
func (c *Database) Regions(ctx context.Context) ([]fault.Region, error) {
	regions, err := c.read(ctx, regionQuery)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		last := slices.SortedFunc(maps.Values(c.known), func(a, b fault.Region) int { return strings.Compare(a.Name, b.Name) })
		return last, c.old(err)
	}
	c.lastAt, c.known = time.Now(), make(map[string]fault.Region, len(regions))
	for _, r := range regions {
		c.known[r.Name] = r
	}
	return regions, nil
}

// Region returns the region in service of that name; false when there is
// none. It reads one row. When the database does not answer, the region comes
// back as it was known last, beside the error.
func (c *Database) Region(ctx context.Context, name string) (fault.Region, bool, error) {
	regions, err := c.read(ctx, oneQuery, name)
	// MySQL takes names that differ in case or trailing blanks for equal.
	i := slices.IndexFunc(regions, func(r fault.Region) bool { return r.Name == name })
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		last, ok := c.known[name]
		return last, ok, c.old(err)
	}
	c.lastAt = time.Now()
	if i < 0 {
		delete(c.known, name)
		return fault.Region{}, false, nil
	}
	if c.known == nil {
		c.known = map[string]fault.Region{}
	}
	c.known[name] = regions[i]
	return regions[i], true, nil
}

// Names lists the regions in service, without what is known of them.
func (c *Database) Names(ctx context.Context) ([]string, error) {
	rows, err := c.db.QueryContext(ctx, nameQuery)
	if err != nil {
		return nil, c.away(err)
	}
	defer func() { _ = rows.Close() }() // Err tells what there is to tell
	var names []string
	for rows.Next() {
		var name sql.NullString
		if err := rows.Scan(&name); err != nil {
			return nil, c.away(err)
		}
		if len(names) == maxRegions {
			return nil, c.away(errTooMany)
		}
		names = append(names, legible(name.String))
	}
	return names, c.away(rows.Err())
}

// away says what could not be read.
func (c *Database) away(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read region_info of the console's database: %w", err)
}

// old says since when what is known is old. It is called with c.mu held.
func (c *Database) old(err error) error {
	if c.lastAt.IsZero() {
		return c.away(err)
	}
	return fmt.Errorf("%w; telling the %d regions known at %s", c.away(err), len(c.known), c.lastAt.Format(time.RFC3339))
}

// LastRead is when the database last answered; zero when it never did.
func (c *Database) LastRead() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastAt
}

func (c *Database) read(ctx context.Context, query string, values ...any) ([]fault.Region, error) {
	rows, err := c.db.QueryContext(ctx, query, values...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err tells what there is to tell
	var regions []fault.Region
	for rows.Next() {
		var name, address, ca, cert, key, token sql.NullString
		if err := rows.Scan(&name, &address, &ca, &cert, &key, &token); err != nil {
			return nil, err
		}
		if len(regions) == maxRegions {
			return nil, errTooMany
		}
		regions = append(regions, c.region(name.String, address.String, ca.String, cert.String, key.String, token.String))
	}
	return regions, rows.Err()
}

// consoleFolder contains the console's files in its container (rainbond-console,
// Dockerfile).
const consoleFolder = "/app/"

// region turns a row into a region. A column holds PEM, or an absolute path,
// or nothing (rainbond-console, www/apiclient/regionapibaseclient.py).
func (c *Database) region(name, address, ca, cert, key, token string) fault.Region {
	r := fault.Region{Name: legible(name), URL: address, Place: fault.Console}
	var errs []error
	read := func(column, value string) []byte {
		if !strings.HasPrefix(value, "/") {
			r.Columns = true
			return []byte(value)
		}
		text, err := readFile(filepath.Join(c.folder, value))
		if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(value, consoleFolder) {
			err = fmt.Errorf("%s %w; mount it below the configured folder", value, fault.ErrConsoleOnly)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", column, err))
		}
		return text
	}
	r.CA = read("ssl_ca_cert", ca)
	r.Cert = read("cert_file", cert)
	r.Key = read("key_file", key)
	r.Token = []byte(strings.TrimSpace(token))
	r.Err = errors.Join(errs...)
	return r
}

// sqlitePool is a pool to the console's SQLite file: read-only, and patient
// while the console writes.
func sqlitePool(c *DatabaseConfig) (*sql.DB, error) {
	// The path is escaped, so that none of it is taken for a parameter.
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: c.Path}).EscapedPath(), RawQuery: "mode=ro&_pragma=busy_timeout(2000)&_pragma=query_only(1)"}
	return sql.Open("sqlite", dsn.String())
}

// mysqlPool is a pool to the console's MySQL or MariaDB. The password is read
// anew for each connection, so that a rotated one needs no restart.
func mysqlPool(c *DatabaseConfig) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.User, config.DBName = c.User, c.Database
	config.Net, config.Addr = "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	config.Timeout = connectTimeout
	config.Logger = silent{}
	err := config.Apply(mysql.BeforeConnect(func(_ context.Context, one *mysql.Config) error {
		password, err := readSecret(c.PasswordFile)
		if err != nil {
			return fmt.Errorf("password_file: %w", err)
		}
		one.Passwd = string(bytes.TrimRight(password, "\r\n"))
		return nil
	}))
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// silent keeps the driver from writing to standard error on its own; what
// goes wrong comes back as an error.
type silent struct{}

// Print drops the driver's words.
func (silent) Print(...any) {}
