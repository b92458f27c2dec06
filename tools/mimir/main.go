// Program mimir-rules checks rule files as mimirtool rules check does: with
// Mimir's own parser of rules and of PromQL. mimirtool itself is four times as
// much to build.
package main

import (
	"fmt"
	"os"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/grafana/mimir/pkg/mimirtool/rules"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if err := check(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mimir-rules:", err)
		os.Exit(1)
	}
}

func check(files []string) error {
	logger := level.NewFilter(log.NewLogfmtLogger(os.Stderr), level.AllowWarn())
	namespaces, err := rules.ParseFiles(rules.MimirBackend, files, model.LegacyValidation, parser.NewParser(parser.Options{}), logger)
	if err != nil {
		return err
	}
	if len(namespaces) != len(files) {
		return fmt.Errorf("%d namespaces in %d files", len(namespaces), len(files))
	}
	for name, n := range namespaces {
		if count := n.CheckRecordingRules(false, logger); count > 0 {
			return fmt.Errorf("%s: %d names of recording rules are not level:metric:operation", name, count)
		}
	}
	return nil
}
