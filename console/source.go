package console

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

const (
	// timeShare is the part of the caller's time that a source of regions gets:
	// a quarter. With the default of 8 s for a collector, 6 s are left for the
	// probe, which needs 5 s to connect and 1 s for the answer.
	timeShare = 4

	// defaultTime is how long a source may take when the caller has no
	// deadline.
	defaultTime = 5 * time.Second
)

// Source is a configuration that can be read again while it is in use.
type Source struct {
	path    string
	files   *fileReader
	reload  sync.Mutex // one reload at a time
	current atomic.Pointer[loaded]
}

// loaded is a valid configuration, with the database it names, if any.
type loaded struct {
	Config
	database *Database

	mu    sync.Mutex
	known map[string]fault.Region // of the files, as read last, by name
}

// Open loads the configuration file at path.
func Open(path string) (*Source, error) {
	s := &Source{path: path, files: newFileReader()}
	return s, s.Reload()
}

// Reload reads the configuration file again and opens the database again. An
// invalid file leaves the previous configuration in use. What is known of
// regions that the configuration no longer has is forgotten.
func (s *Source) Reload() error {
	s.reload.Lock()
	defer s.reload.Unlock()
	c, err := LoadConfig(s.path)
	if err != nil {
		return err
	}
	next := &loaded{Config: *c, known: map[string]fault.Region{}}
	if c.Console != nil {
		if next.database, err = openDatabase(c.Console, s.files); err != nil {
			return err
		}
	}
	previous := s.current.Load()
	if previous != nil {
		next.adopt(previous)
	}
	s.current.Store(next)
	if previous != nil && previous.database != nil {
		return previous.database.Close()
	}
	return nil
}

// adopt takes over what is known of the regions that are the same in both
// configurations.
func (l *loaded) adopt(previous *loaded) {
	previous.mu.Lock()
	defer previous.mu.Unlock()
	before := map[FileRegion]bool{}
	for _, r := range previous.Regions {
		before[r] = true
	}
	for _, r := range l.Regions {
		if last, ok := previous.known[r.Name]; ok && before[r] {
			l.known[r.Name] = last
		}
	}
	if l.database == nil || previous.database == nil || !l.Console.equal(previous.Console) {
		return
	}
	previous.database.mu.Lock()
	defer previous.database.mu.Unlock()
	l.database.known, l.database.lastAt = previous.database.known, previous.database.lastAt
}

// Regions returns the console's copy of every region: those of the
// configuration's files, which are read on each call, then those of the
// console's database that have other names. A missing file is a fault of the
// region, which the region has as Err.
//
// An error means that a source failed or hangs. The regions returned with it
// are the last known ones of that source and the current ones of the other.
// Each source gets a quarter of the time that ctx has left. A region that has
// never been read is left out.
func (s *Source) Regions(ctx context.Context) ([]fault.Region, error) {
	ctx, cancel := share(ctx)
	defer cancel()
	var ofDatabase []fault.Region
	var errDatabase error
	var wait sync.WaitGroup
	now := s.current.Load()
	wait.Go(func() {
		ofDatabase, errDatabase = whileOpen(s, func(d *Database) ([]fault.Region, error) { return d.Regions(ctx) })
	})
	regions, errFiles := now.readAll(ctx, s.files, now.Regions)
	wait.Wait()
	for _, r := range ofDatabase {
		if _, ok := now.file(r.Name); !ok {
			regions = append(regions, r)
		}
	}
	return regions, errors.Join(errFiles, errDatabase)
}

// Region returns the region of that name and true, or false when there is
// none. It reads only this region's files or row. What it returns together
// with an error is the last known region, as for Regions.
func (s *Source) Region(ctx context.Context, name string) (fault.Region, bool, error) {
	ctx, cancel := share(ctx)
	defer cancel()
	now := s.current.Load()
	if file, ok := now.file(name); ok {
		regions, err := now.readAll(ctx, s.files, []FileRegion{file})
		if len(regions) == 0 {
			return fault.Region{}, false, err
		}
		return regions[0], true, err
	}
	type found struct {
		region fault.Region
		ok     bool
	}
	f, err := whileOpen(s, func(d *Database) (f found, err error) {
		f.region, f.ok, err = d.Region(ctx, name)
		return f, err
	})
	return f.region, f.ok, err
}

// Names returns the names of the regions. An error means that those of the
// database are unknown.
func (s *Source) Names(ctx context.Context) ([]string, error) {
	now := s.current.Load()
	var names []string
	for _, r := range now.Regions {
		names = append(names, r.Name)
	}
	ofDatabase, err := whileOpen(s, func(d *Database) ([]string, error) { return d.Names(ctx) })
	for _, name := range ofDatabase {
		if _, ok := now.file(name); !ok {
			names = append(names, name)
		}
	}
	return names, err
}

// LastRead returns when the console's database last answered, and zero before
// that or when the configuration has none.
func (s *Source) LastRead() time.Time {
	if database := s.current.Load().database; database != nil {
		return database.LastRead()
	}
	return time.Time{}
}

// Close ends the connections to the database. The source is of no use after it.
func (s *Source) Close() error {
	if database := s.current.Load().database; database != nil {
		return database.Close()
	}
	return nil
}

// whileOpen reads from the database, if there is one. A reload closes the
// database that it replaces; then the new one is read.
func whileOpen[T any](s *Source, read func(*Database) (T, error)) (T, error) {
	for {
		now := s.current.Load()
		if now.database == nil {
			var none T
			return none, nil
		}
		result, err := read(now.database)
		if !errors.Is(err, errClosed) || s.current.Load() == now {
			return result, err
		}
	}
}

// share returns a context with the time that a source of regions may take.
func share(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := defaultTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline) / timeShare
	}
	return context.WithTimeout(ctx, limit)
}

// file returns the region of that name, if the configuration lists its files.
func (l *loaded) file(name string) (FileRegion, bool) {
	for _, r := range l.Regions {
		if r.Name == name {
			return r, true
		}
	}
	return FileRegion{}, false
}

// readAll reads the files of regions. The region of files that are unavailable
// is the last known one; without one it is left out.
func (l *loaded) readAll(ctx context.Context, reader *fileReader, files []FileRegion) ([]fault.Region, error) {
	pending := make([]*pendingFiles, len(files))
	for i, r := range files {
		pending[i] = reader.start(filePaths{caKey: "ca_file", ca: r.CAFile, cert: r.CertFile, key: r.KeyFile, token: r.TokenFile})
	}
	var regions []fault.Region
	var errs []error
	for i, r := range files {
		content, err := pending[i].wait(ctx)
		l.mu.Lock()
		if err != nil {
			last, ok := l.known[r.Name]
			errs = append(errs, unavailable(r.Name, err, ok))
			if ok {
				regions = append(regions, last)
			}
		} else {
			region := fault.Region{
				Name: r.Name, URL: r.URL, ServerName: r.ServerName, Place: fault.Console,
				CA: content.ca, Cert: content.cert, Key: content.key, Token: bytes.TrimSpace(content.token), Err: content.err,
			}
			l.known[r.Name] = region
			regions = append(regions, region)
		}
		l.mu.Unlock()
	}
	return regions, errors.Join(errs...)
}
