package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal is a pseudo-terminal of the given size; read gets what has been
// written to it so far, each time that there is more.
func openTerminal(t *testing.T, columns, rows uint16, read func(all string)) (tty *os.File, closed <-chan struct{}) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { _ = control.Close() })
	var n int
	if err = unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0); err == nil {
		if n, err = unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN); err == nil {
			tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
		}
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var all bytes.Buffer
		for piece := make([]byte, 4096); ; {
			n, err := control.Read(piece)
			all.Write(piece[:n])
			read(all.String())
			if err != nil { // EIO, when the other side is closed
				return
			}
		}
	}()
	return tty, ended
}

// TestWatchRedrawsATerminal watches a region without certificates in
// a window that is too small, until a second check is drawn.
func TestWatchRedrawsATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	ctx, end := context.WithCancel(t.Context())
	defer end()
	secondCheck := regexp.MustCompile(`seen since [0-9:]{8} \([1-9][0-9]*s\)`)
	var output string
	tty, closed := openTerminal(t, 100, 8, func(all string) {
		if output = all; secondCheck.MatchString(all) {
			end()
		}
	})
	var errs bytes.Buffer
	status := run(ctx, []string{"check", "--watch", "--interval=1s", "--lang=en", "--role=console", "--config.file=" + webless(t)}, tty, &errs)
	_ = tty.Close()
	<-closed
	if status != faults || errs.Len() > 0 {
		t.Errorf("ended with %d: %s", status, errs.String())
	}
	steady := strings.NewReplacer("\x1b", "ESC", "\r", "").Replace(output)
	for pattern, text := range map[string]string{`[0-9]{2}:[0-9]{2}:[0-9]{2}`: "12:00:00", `\([0-9]+s\)`: "(1s)", `[0-9]+ more lines`: "9 more lines"} {
		steady = regexp.MustCompile(pattern).ReplaceAllString(steady, text)
	}
	frame := `ESC[HESC[KESC[2mChecked at 12:00:00, again every 1s; Ctrl-C endsESC[0m
ESC[K
ESC[KESC[1;31mRegion a: 1 faultESC[0m
ESC[K
ESC[KESC[1;31mCRITICAL  ESC[0mESC[1mRegion a: a certificate in console is missing or unusableESC[0m
ESC[K  ESC[2mRainbondCertificateUnreadable, region a, place=consoleESC[0m
ESC[K  ESC[2mseen since 12:00:00 (1s)ESC[0m
ESC[JESC[2m… 9 more lines: make the window larger, or run check without --watchESC[0m`
	drawn, rest, _ := strings.Cut(steady, "ESC[?25hESC[?1049l")
	if left := strings.ReplaceAll(drawn, frame, ""); left != "ESC[?1049hESC[?25l" || strings.Count(drawn, frame) < 2 {
		t.Errorf("drawn\n%s\nwant, twice or more,\n%s", drawn, frame)
	}
	if !strings.HasPrefix(rest, "ESC[1;31mRegion a: 1 faultESC[0m\n") || !strings.Contains(rest, "Not evaluated") {
		t.Errorf("left behind\n%s", rest)
	}
}
