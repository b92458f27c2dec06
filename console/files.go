package console

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/configfile"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"golang.org/x/sync/singleflight"
)

const (
	// maxFile is the largest size of a PEM file, in bytes: a hundred times a
	// chain of RSA-4096 certificates.
	maxFile = 1 << 20

	// maxReaders is how many regions' files are read at the same time.
	maxReaders = 16
)

// A fileReader reads the files of regions. A read that hangs, such as on a
// network file system, occupies one goroutine, however often it is requested.
type fileReader struct {
	reads singleflight.Group
	slots chan struct{}
	read  func(filePaths) (fileContent, error)
}

func newFileReader() *fileReader {
	return &fileReader{slots: make(chan struct{}, maxReaders), read: filePaths.read}
}

// filePaths are the files of one region. An empty path is not read. caKey is
// the name of ca in errors.
type filePaths struct{ caKey, ca, cert, key, token string }

// fileContent is what the files of one region contain. err names the files
// that are missing or unusable, which is a fault of the region's configuration.
type fileContent struct {
	ca, cert, key, token []byte
	err                  error
}

// pendingFiles is a read that has started.
type pendingFiles struct {
	done  <-chan singleflight.Result
	begin time.Time
}

// start reads the files of one region in the background.
func (r *fileReader) start(paths filePaths) *pendingFiles {
	if paths == (filePaths{caKey: paths.caKey}) {
		return &pendingFiles{}
	}
	key := strings.Join([]string{paths.caKey, paths.ca, paths.cert, paths.key, paths.token}, "\x00")
	return &pendingFiles{begin: time.Now(), done: r.reads.DoChan(key, func() (any, error) {
		r.slots <- struct{}{}
		defer func() { <-r.slots }()
		return withoutPanic(func() (fileContent, error) { return r.read(paths) })
	})}
}

// wait returns the content of the files. An error means that the content is
// unknown: the read has not ended before ctx, or failed for a reason of the
// exporter or its host.
func (p *pendingFiles) wait(ctx context.Context) (fileContent, error) {
	if p.done == nil {
		return fileContent{}, nil
	}
	result, err := receive(ctx, p.done, p.begin)
	if err != nil {
		return fileContent{}, err
	}
	content, _ := result.Val.(fileContent)
	return content, result.Err
}

// receive waits for the result of a read that started at begin. A result that
// is there counts, even after the end of ctx.
func receive(ctx context.Context, done <-chan singleflight.Result, begin time.Time) (singleflight.Result, error) {
	select {
	case result := <-done:
		return result, nil
	case <-ctx.Done():
	}
	select {
	case result := <-done:
		return result, nil
	default:
		return singleflight.Result{}, noAnswer(ctx, begin)
	}
}

// noAnswer is the error of something that has not answered since begin.
func noAnswer(ctx context.Context, begin time.Time) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s: %w", time.Since(begin).Round(100*time.Millisecond), context.DeadlineExceeded)
	}
	return context.Cause(ctx)
}

// unavailable is the error about a region whose files could not be read.
func unavailable(region string, err error, known bool) error {
	if known {
		return fmt.Errorf("read the files of region %q: %w; using what was read last", region, err)
	}
	return fmt.Errorf("read the files of region %q: %w; the region is unknown", region, err)
}

// consoleFolder contains the console's files in its container (rainbond-console,
// Dockerfile).
const consoleFolder = "/app/"

// read reads the files. An error is one of the exporter or its host.
func (paths filePaths) read() (fileContent, error) {
	var content fileContent
	var bad, unknown []error
	for _, one := range []struct {
		name, path string
		into       *[]byte
		read       func(string) ([]byte, error)
	}{
		{paths.caKey, paths.ca, &content.ca, readFile},
		{"cert_file", paths.cert, &content.cert, readFile},
		{"key_file", paths.key, &content.key, readFile},
		{"token_file", paths.token, &content.token, readSecret},
	} {
		if one.path == "" {
			continue
		}
		text, err := one.read(one.path)
		if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(one.path, consoleFolder) {
			err = fmt.Errorf("%w (%w); mount it at the same path", err, fault.ErrConsoleOnly)
		}
		switch {
		case err == nil:
			*one.into = text
		case isShortage(err):
			unknown = append(unknown, fmt.Errorf("%s: %w", one.name, err))
		default:
			bad = append(bad, fmt.Errorf("%s: %w", one.name, err))
		}
	}
	content.err = errors.Join(bad...)
	return content, errors.Join(unknown...)
}

// isShortage reports whether an error is about the exporter or its host, and
// not about a file: no descriptors, no memory, no permission, a failing disk
// or file server.
func isShortage(err error) bool {
	for _, shortage := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EACCES, syscall.EPERM, syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.EAGAIN,
		syscall.ENOTCONN, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.ENETUNREACH,
	} {
		if errors.Is(err, shortage) {
			return true
		}
	}
	return false
}

// readFile returns the content of a PEM file.
func readFile(path string) ([]byte, error) { return configfile.Read(path, "a PEM file", maxFile) }

// readSecret returns the content of a file that contains a secret, and nothing
// for /dev/null. Errors do not contain the path: people write the secret itself
// in place of its file.
func readSecret(path string) ([]byte, error) {
	if path == os.DevNull {
		return nil, nil
	}
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

// withoutPanic returns a panic of f as an error.
func withoutPanic[T any](f func() (T, error)) (result T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}
