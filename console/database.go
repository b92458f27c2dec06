package console

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// inService is the status of a region in service. 0 is being edited, 2 is
// disabled, 3 is under maintenance (rainbond-console, www/models/main.py,
// RegionConfig.status).
const inService = "1"

// The queries name the columns that are needed, so that a user may be granted
// just these. Names are unique in the table.
const (
	fromRegions = " FROM region_info WHERE status = '" + inService + "'"
	nameQuery   = "SELECT region_name" + fromRegions + " ORDER BY region_name"
	oneQuery    = "SELECT region_name, url, ssl_ca_cert, cert_file, key_file, token" + fromRegions + " AND region_name = ?"
	regionQuery = "SELECT region_name, url, ssl_ca_cert, cert_file, key_file, token" + fromRegions + " ORDER BY region_name"
)

const (
	// maxRegions is the largest number of rows that is read.
	maxRegions = 10_000

	// queryTimeout ends a query whose callers no longer wait for it.
	queryTimeout = 10 * time.Second

	// connectTimeout is how long a connection to the database may take to open.
	connectTimeout = 5 * time.Second

	// fileTimeout is how long a file that a column names may take to be read.
	fileTimeout = time.Second
)

var (
	errTooMany = fmt.Errorf("more than %d regions in service", maxRegions)
	errClosed  = errors.New("the database is closed")
)

// replacement replaces invalid UTF-8 in a name.
const replacement = "\uFFFD"

// sanitizeName returns a name that can be a label value.
func sanitizeName(name string) string { return strings.ToValidUTF8(name, replacement) }

// Database reads the regions from the console's database and stores them.
// While the database fails or hangs, its methods return the regions of the
// last successful read together with the error.
type Database struct {
	// open returns connections for one read and the function that releases
	// them.
	open  func() (db *sql.DB, release func() error, err error)
	close func() error
	// explain adds the likely cause to an error of the driver.
	explain func(error) error
	files   *fileReader
	reads   singleflight.Group

	life context.Context // ends with Close
	end  context.CancelCauseFunc

	mu     sync.Mutex
	known  map[string]fault.Region // of the last read, by name
	lastAt time.Time
}

// OpenDatabase prepares the database of c. It does not connect.
func OpenDatabase(c *DatabaseConfig) (*Database, error) { return openDatabase(c, newFileReader()) }

func openDatabase(c *DatabaseConfig, files *fileReader) (*Database, error) {
	d := &Database{files: files}
	if c.Driver == "sqlite" {
		d.open = func() (*sql.DB, func() error, error) { return openSQLite(c.Path) }
		d.close = func() error { return nil }
		d.explain = func(err error) error { return err }
	} else {
		pool, err := mysqlPool(c)
		if err != nil {
			return nil, fmt.Errorf("open the console's database: %w", err)
		}
		d.open = func() (*sql.DB, func() error, error) { return pool, func() error { return nil }, nil }
		d.close = pool.Close
		d.explain = func(err error) error { return explainMySQL(err, c.TLS != nil) }
	}
	d.life, d.end = context.WithCancelCause(context.Background())
	return d, nil
}

// Close ends all queries and connections.
func (d *Database) Close() error {
	d.end(errClosed)
	return d.close()
}

// Regions returns the regions in service, sorted by name. When the database
// fails or does not answer before ctx ends, it returns the regions of the last
// successful read and an error that contains the time of that read. When only
// a file that a column names cannot be read, it returns an error and the other
// regions.
func (d *Database) Regions(ctx context.Context) ([]fault.Region, error) {
	regions, err := d.shared(ctx, "", func(ctx context.Context) ([]fault.Region, error) {
		read, errRead := d.query(ctx, regionQuery)
		if errRead != nil {
			return nil, d.readError(errRead)
		}
		regions, err := d.readFiles(ctx, read)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lastAt, d.known = time.Now(), make(map[string]fault.Region, len(regions))
		for _, r := range regions {
			d.known[r.Name] = r
		}
		return slices.Clip(regions), err
	})
	if err == nil || regions != nil {
		return regions, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	last := slices.SortedFunc(maps.Values(d.known), func(a, b fault.Region) int { return cmp.Compare(a.Name, b.Name) })
	return last, d.lastKnown(err)
}

// Region returns the region in service of that name and true, or false when
// there is none. It reads one row. When the database fails, it returns the
// region of the last successful read and an error.
func (d *Database) Region(ctx context.Context, name string) (fault.Region, bool, error) {
	if strings.Contains(name, replacement) { // the database has another name
		regions, err := d.Regions(ctx)
		if i := slices.IndexFunc(regions, isNamed(name)); i >= 0 {
			return regions[i], true, err
		}
		return fault.Region{}, false, err
	}
	regions, err := d.shared(ctx, name, func(ctx context.Context) ([]fault.Region, error) {
		read, errRead := d.query(ctx, oneQuery, name)
		if errRead != nil {
			return nil, d.readError(errRead)
		}
		// MySQL compares names without case and trailing spaces.
		read = slices.DeleteFunc(read, func(r row) bool { return r.name != name })
		regions, err := d.readFiles(ctx, read)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lastAt = time.Now()
		if len(read) == 0 {
			delete(d.known, name)
		}
		if d.known == nil {
			d.known = map[string]fault.Region{}
		}
		for _, r := range regions {
			d.known[name] = r
		}
		return regions, err
	})
	switch {
	case len(regions) > 0:
		return regions[0], true, err
	case err == nil:
		return fault.Region{}, false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	last, ok := d.known[name]
	return last, ok, d.lastKnown(err)
}

func isNamed(name string) func(fault.Region) bool {
	return func(r fault.Region) bool { return r.Name == name }
}

// Names returns the names of the regions in service, sorted. An error means
// that they are unknown.
func (d *Database) Names(ctx context.Context) ([]string, error) {
	regions, err := d.shared(ctx, "names", func(ctx context.Context) ([]fault.Region, error) {
		read, err := d.query(ctx, nameQuery)
		var regions []fault.Region
		for _, r := range distinct(read) {
			regions = append(regions, fault.Region{Name: r.name})
		}
		return regions, d.readError(err)
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range regions {
		names = append(names, r.Name)
	}
	return names, nil
}

// LastRead returns the time of the last successful read, zero before the first.
func (d *Database) LastRead() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lastAt
}

// shared runs read in a goroutine that all callers with the same key share,
// and waits until ctx ends. A read that hangs occupies one goroutine.
func (d *Database) shared(ctx context.Context, key string, read func(context.Context) ([]fault.Region, error)) ([]fault.Region, error) {
	begin := time.Now()
	done := d.reads.DoChan(key, func() (any, error) { //nolint:contextcheck // a read belongs to no caller
		ctx, cancel := context.WithTimeout(d.life, queryTimeout)
		defer cancel()
		return withoutPanic(func() ([]fault.Region, error) { return read(ctx) })
	})
	result, err := receive(ctx, done, begin)
	if err != nil {
		return nil, d.readError(err)
	}
	regions, _ := result.Val.([]fault.Region)
	return regions, result.Err
}

// readError returns err with the name of the table. An error of a read that
// Close ended is errClosed.
func (d *Database) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case context.Cause(d.life) != nil:
		err = errClosed
	}
	return fmt.Errorf("read region_info of the console's database: %w", d.explain(err))
}

// lastKnown adds to err what is returned in place of an answer. The caller
// holds d.mu.
func (d *Database) lastKnown(err error) error {
	if d.lastAt.IsZero() {
		return err
	}
	return fmt.Errorf("%w; using the %d regions read at %s", err, len(d.known), d.lastAt.Format(time.RFC3339))
}

// A row is a region as the table has it.
type row struct{ name, url, ca, cert, key, token string }

func (d *Database) query(ctx context.Context, query string, values ...any) (regions []row, err error) {
	db, release, err := d.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	rows, err := db.QueryContext(ctx, query, values...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	for rows.Next() {
		var name, url, ca, cert, key, token sql.NullString
		columns := []any{&name, &url, &ca, &cert, &key, &token}
		if query == nameQuery {
			columns = columns[:1]
		}
		if err := rows.Scan(columns...); err != nil {
			return nil, err
		}
		if len(regions) == maxRegions {
			return nil, errTooMany
		}
		regions = append(regions, row{name.String, url.String, ca.String, cert.String, key.String, token.String})
	}
	return regions, rows.Err()
}

// distinct sanitizes the names of rows. Names that become equal get a number:
// the second is "NAME~2".
func distinct(rows []row) []row {
	count := make(map[string]int, len(rows))
	for i := range rows {
		if name := sanitizeName(rows[i].name); name != rows[i].name {
			if count[name]++; count[name] > 1 {
				name = fmt.Sprintf("%s~%d", name, count[name])
			}
			rows[i].name = name
		}
	}
	return rows
}

// readFiles returns the regions of rows. A column contains PEM, or an absolute
// path, or nothing (rainbond-console, www/apiclient/regionapibaseclient.py).
// A region whose file is unavailable gets the last known content; without one
// it is left out.
func (d *Database) readFiles(ctx context.Context, rows []row) ([]fault.Region, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	rows = distinct(rows)
	pending := make([]*pendingFiles, len(rows))
	for i, r := range rows {
		paths := filePaths{caKey: "ssl_ca_cert", ca: pathIn(r.ca), cert: pathIn(r.cert), key: pathIn(r.key)}
		pending[i] = d.files.start(paths)
	}
	regions := make([]fault.Region, 0, len(rows))
	var errs []error
	for i, r := range rows {
		content, err := pending[i].wait(ctx)
		if err != nil {
			d.mu.Lock()
			last, ok := d.known[r.name]
			d.mu.Unlock()
			errs = append(errs, unavailable(r.name, err, ok))
			if !ok {
				continue
			}
			content = fileContent{ca: last.CA, cert: last.Cert, key: last.Key}
		}
		choose := func(column string, file []byte) []byte {
			if pathIn(column) != "" {
				return file
			}
			return []byte(column)
		}
		regions = append(regions, fault.Region{
			Name: r.name, URL: r.url, Place: fault.Console, Columns: pathIn(r.ca) == "" || pathIn(r.cert) == "" || pathIn(r.key) == "",
			CA: choose(r.ca, content.ca), Cert: choose(r.cert, content.cert), Key: choose(r.key, content.key),
			Token: []byte(strings.TrimSpace(r.token)), Err: content.err,
		})
	}
	return regions, errors.Join(errs...)
}

// pathIn returns the path in a column, "" when it contains none.
func pathIn(column string) string {
	if strings.HasPrefix(column, "/") {
		return column
	}
	return ""
}
