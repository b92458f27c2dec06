package rules

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// IdentityPlaces is identity.json, the places of the labels in Rules, Alertmanager
// and Messages.
//
//go:embed identity.json
var IdentityPlaces []byte

// Identify replaces the labels of DefaultIdentity in a text by other labels.
// Places is a JSON list of the places of those labels in such a text. Each place
// has a pattern (RE2), and becomes the texts before, each with LABEL for every
// label, between for every gap, and after. They refer to groups of the pattern
// as ${1}. The chart reads the same lists.
func Identify(text string, places []byte, labels []string) (string, error) {
	if slices.Equal(labels, DefaultIdentity) {
		return text, nil
	}
	var all []struct{ Pattern, Before, Each, Between, After string }
	if err := json.Unmarshal(places, &all); err != nil {
		return "", err
	}
	for _, p := range all {
		pattern, err := regexp.Compile(p.Pattern)
		if err != nil {
			return "", err
		}
		var each []string
		for _, label := range labels {
			each = append(each, strings.ReplaceAll(p.Each, "LABEL", "<"+label+">")) // so that no other pattern matches it
		}
		text = pattern.ReplaceAllString(text, p.Before+strings.Join(each, p.Between)+p.After)
	}
	for _, label := range labels {
		text = strings.ReplaceAll(text, "<"+label+">", label)
	}
	return text, nil
}
