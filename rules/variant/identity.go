package variant

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// reserved are the labels that the rules themselves set or group by.
var reserved = []string{"alertname", "severity", "job", "instance", "node", "mountpoint", "component", "collector", "role", "place", "kind", "reference", "reason", "phase", "class", "cause", "pods", "measure", "between", "renamed", "shared"}

// variableNames are the other variables of the dashboards. Each label of an
// identity is a variable too.
var variableNames = []string{"datasource", "region", "evicts_at", "guide"}

// Labels validates the labels of an identity and returns those that identify a
// platform together with rules.RegionLabel.
func Labels(identity []string) ([]string, error) {
	if slices.Equal(identity, []string{""}) {
		return nil, fmt.Errorf("--identity: empty; expected for example cluster,%s", rules.RegionLabel)
	}
	var errs []error
	for i, name := range identity {
		switch {
		case !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, model.ReservedLabelPrefix):
			errs = append(errs, fmt.Errorf("--identity: %q is not a label name; expected letters, digits and underscores", name))
		case slices.Contains(reserved, name) || slices.Contains(variableNames, name):
			errs = append(errs, fmt.Errorf("--identity: the rules or the dashboards use the name %s; expected labels that identify a platform, such as cluster", name))
		case slices.Contains(identity[:i], name):
			errs = append(errs, fmt.Errorf("--identity: %s occurs twice; expected each label once", name))
		}
	}
	if !slices.Contains(identity, rules.RegionLabel) {
		errs = append(errs, fmt.Errorf("--identity: %q lacks %s; expected for example cluster,%[2]s", strings.Join(identity, ","), rules.RegionLabel))
	}
	labels := slices.DeleteFunc(slices.Clone(identity), func(name string) bool { return name == rules.RegionLabel })
	return labels, errors.Join(errs...)
}
