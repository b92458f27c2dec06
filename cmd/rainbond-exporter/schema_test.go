package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report"
	diagnosisjson "github.com/rainbond-exporter/rainbond-exporter/report/json"
)

// published is docs/diagnosis.schema.json, closed: it lets readers meet fields
// that are yet to come, but what we write today it must name.
func published(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("../../docs/diagnosis.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	closeObjects(document)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("diagnosis.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("diagnosis.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// closeObjects lets objects have no properties but those that are named.
func closeObjects(node any) {
	switch n := node.(type) {
	case map[string]any:
		if n["type"] == "object" && n["properties"] != nil {
			n["additionalProperties"] = false
		}
		for _, child := range n {
			closeObjects(child)
		}
	case []any:
		for _, child := range n {
			closeObjects(child)
		}
	}
}

// obeys reports whether a text matches the schema.
func obeys(t *testing.T, schema *jsonschema.Schema, text string) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = schema.Validate(document)
	}
	if err != nil {
		t.Errorf("docs/diagnosis.schema.json: %v\n%.2000s", err, text)
	}
}

// obeysAs writes a diagnosis as check does and holds it against the schema.
func obeysAs(t *testing.T, schema *jsonschema.Schema, d doctor.Diagnosis) {
	t.Helper()
	var text bytes.Buffer
	if err := diagnosisjson.Write(&text, d, report.Links{}); err != nil {
		t.Fatal(err)
	}
	obeys(t, schema, text.String())
}

func TestJSONMatchesTheSchema(t *testing.T) {
	schema, config := published(t), "--config.file="+webless(t)
	var once, errs bytes.Buffer
	if status := run(t.Context(), []string{"check", "--role=console", config, "--output=json"}, &once, &errs); status != faults {
		t.Fatalf("ended with %d: %s", status, errs.String())
	}
	obeys(t, schema, once.String())
	obeys(t, schema, served(t, "serve", "--role=console", config).get("/api/v1/diagnosis"))

	ctx, end := context.WithCancel(t.Context())
	checks := 0
	watchWhile(ctx, t, faults, func(line string) {
		obeys(t, schema, line)
		if checks++; checks == 2 {
			end()
		}
	}, "--role=console", config, "--output=json")
}

// TestPagesNameEveryField holds the tables of docs/check.*.md.
func TestPagesNameEveryField(t *testing.T) {
	schema, err := os.ReadFile("../../docs/diagnosis.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(schema, &document); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"../../docs/check.md", "../../docs/check.zh.md"} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range fields(document) {
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("%s does not name %q", path, name)
			}
		}
	}
}

// fields are the names of all properties in a schema.
func fields(node any) (names []string) {
	switch n := node.(type) {
	case map[string]any:
		if properties, ok := n["properties"].(map[string]any); ok {
			names = slices.Collect(maps.Keys(properties))
		}
		for _, child := range n {
			names = append(names, fields(child)...)
		}
	case []any:
		for _, child := range n {
			names = append(names, fields(child)...)
		}
	}
	return names
}
