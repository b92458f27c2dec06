package main

import (
	"errors"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rainbond-exporter": main, "kubectl-rainbond": main})
}

// TestScripts runs the real binary as people do; each script in
// testdata/script is a specification. The command "ends N ARGS..." runs the
// exporter and wants it to end with status N.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ends": func(ts *testscript.TestScript, _ bool, args []string) {
			want, err := strconv.Atoi(args[0])
			ts.Check(err)
			var status *exec.ExitError
			got := 0
			if err := ts.Exec("rainbond-exporter", args[1:]...); errors.As(err, &status) {
				got = status.ExitCode()
			} else {
				ts.Check(err)
			}
			if got != want {
				ts.Fatalf("ended with %d, want %d", got, want)
			}
		}},
	})
}
