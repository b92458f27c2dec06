package variant_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

// TestOtherCheckersAcceptTheVariants: the old promtools, and the rule checkers of
// Thanos and Mimir, accept the rules for each identity and other intervals.
func TestOtherCheckersAcceptTheVariants(t *testing.T) {
	options := []variant.Options{{Interval: 20 * time.Second}, {Interval: time.Minute}, {Interval: variant.MaxInterval}, {Lang: "zh"}, {Format: variant.PrometheusRule}}
	for _, identity := range identities {
		options = append(options, variant.Options{Identity: identity})
	}
	for _, checker := range [][]string{{"promtool-2.20", "check", "rules"}, {"promtool-2.53", "check", "rules"}, {"thanos-rules"}, {"mimir-rules"}} {
		t.Run(checker[0], func(t *testing.T) {
			name := tool(t, checker[0])
			for _, o := range options {
				if out, err := exec.CommandContext(t.Context(), name, append(checker[1:], ruleFile(t, o))...).CombinedOutput(); err != nil {
					t.Errorf("%+v: %v\n%s", o, err, out)
				}
			}
		})
	}
}
