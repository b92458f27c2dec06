//go:build !linux

// Package filesystem reads the usage of the node's file systems on Linux.
package filesystem

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// Disks returns an error: only Linux has the mount table and the calls that the
// node role needs.
func Disks(*slog.Logger, string, string, []string) (root func(context.Context) (fault.Filesystem, error), mounts func(context.Context) ([]fault.Mount, error), err error) {
	return nil, nil, fmt.Errorf("--role=node: expected Linux, this is %s; run it on the node", runtime.GOOS)
}
