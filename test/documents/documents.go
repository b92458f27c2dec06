// Package documents reads the commands and the YAML of the documentation, so that tests can try them: the flags of the exporter in
// cmd/rainbond-exporter, Helm commands and values in test/chart, objects on a real API server in test/e2e, the rest here.
package documents

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
	"go.yaml.in/yaml/v3"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// A Block is a fenced code block of a Markdown file.
type Block struct {
	File string // relative to the repository
	Line int    // of the first line of Text
	Info string // the word after the fence
	Text string
}

// A Command is a command line of a block, with its continuation lines.
type Command struct {
	File string
	Line int
	Text string
}

// Where returns FILE:LINE.
func (c Command) Where() string { return fmt.Sprintf("%s:%d", c.File, c.Line) }

// Where returns FILE:LINE.
func (b Block) Where() string { return fmt.Sprintf("%s:%d", b.File, b.Line) }

// Blocks returns the code blocks of the documentation of a repository: Markdown at its root, in docs and of the chart.
func Blocks(root string) ([]Block, error) {
	var all []Block
	for _, pattern := range []string{"*.md", "docs/*.md", "charts/*/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			source, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			file, err := filepath.Rel(root, name)
			if err != nil {
				return nil, err
			}
			all = append(all, blocks(filepath.ToSlash(file), source)...)
		}
	}
	return all, nil
}

func blocks(file string, source []byte) []Block {
	var all []Block
	_ = ast.Walk(goldmark.DefaultParser().Parse(text.NewReader(source)), func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if fence, ok := node.(*ast.FencedCodeBlock); ok && entering && fence.Lines().Len() > 0 {
			line := 1 + bytes.Count(source[:fence.Lines().At(0).Start], []byte("\n"))
			all = append(all, Block{file, line, string(fence.Language(source)), string(fence.Lines().Value(source))})
		}
		return ast.WalkContinue, nil
	})
	return all
}

// Commands returns the commands of a block: in console, the lines after "$ "; in sh and bash, all lines. Other blocks have none.
func (b Block) Commands() []Command {
	var all []Command
	console := b.Info == "console"
	if !console && b.Info != "sh" && b.Info != "bash" {
		return nil
	}
	lines := strings.Split(strings.TrimRight(b.Text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line, prompt := strings.CutPrefix(lines[i], "$ ")
		if console && !prompt || strings.TrimSpace(line) == "" {
			continue
		}
		c := Command{b.File, b.Line + i, line}
		for i+1 < len(lines) && incomplete(c.Text) {
			i++
			c.Text += "\n" + strings.TrimPrefix(lines[i], "> ")
		}
		all = append(all, c)
	}
	return all
}

// incomplete reports whether a command continues on the next line.
func incomplete(command string) bool {
	if strings.HasSuffix(command, "\\") {
		return true
	}
	_, err := parse(command)
	return err != nil && (syntax.IsIncomplete(err) || strings.Contains(err.Error(), "unclosed here-document"))
}

func parse(command string) (*syntax.File, error) {
	return syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(command), "")
}

// Calls returns the words of each program that a command line runs. A variable and a command substitution become "x".
func (c Command) Calls() ([][]string, error) {
	file, err := parse(c.Text)
	if err != nil {
		return nil, err
	}
	config := &expand.Config{
		Env:      expand.FuncEnviron(func(string) string { return "x" }),
		CmdSubst: func(w io.Writer, _ *syntax.CmdSubst) error { _, err := io.WriteString(w, "x"); return err },
	}
	var calls [][]string
	functions := map[string]bool{}
	syntax.Walk(file, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.FuncDecl:
			functions[n.Name.Value] = true
		case *syntax.CallExpr:
			words, fault := expand.Fields(config, n.Args...)
			if fault != nil {
				err = fault
			}
			for len(words) > 0 && slices.Contains([]string{"sudo", "exec", "command", "time"}, words[0]) {
				words = words[1:]
			}
			if len(words) > 0 && !functions[words[0]] && !strings.HasPrefix(words[0], "-") { // command -v runs nothing
				calls = append(calls, words)
			}
		}
		return true
	})
	return calls, err
}

// KindOf returns what a YAML document is for, by its keys: object (of Kubernetes), prometheus, rules, receivers, alertmanager, web (TLS and
// passwords of the exporter), exporter (its configuration), patch (of an object), values (of the chart) or "".
func KindOf(doc *yaml.Node) string {
	node := doc
	if node.Kind == yaml.DocumentNode {
		node = node.Content[0]
	}
	keys := map[string]*yaml.Node{}
	if node.Kind == yaml.SequenceNode && len(node.Content) > 0 && node.Content[0].Kind == yaml.MappingNode {
		if node.Content[0].Content[0].Value == "name" {
			return "receivers"
		}
		return ""
	}
	if node.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i < len(node.Content); i += 2 {
		keys[node.Content[i].Value] = node.Content[i+1]
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return keys[name] != nil })
	}
	within := func(name, key string) bool {
		for i := 0; keys[name] != nil && i < len(keys[name].Content); i += 2 {
			if keys[name].Content[i].Value == key {
				return true
			}
		}
		return false
	}
	switch {
	case has("apiVersion") && has("kind"):
		return "object"
	case has("scrape_configs", "rule_files", "alerting"):
		return "prometheus"
	case has("groups"):
		return "rules"
	case has("receivers") && !has("route") && len(keys["receivers"].Content) > 0 && slices.ContainsFunc(keys["receivers"].Content[0].Content, func(n *yaml.Node) bool { return n.Value == "url_file" }):
		return "relay"
	case has("route", "receivers", "inhibit_rules"):
		return "alertmanager"
	case has("tls_server_config", "basic_auth_users", "http_server_config"):
		return "web"
	case has("regions") || within("console", "driver"):
		return "exporter"
	case has("spec") && len(keys) == 1:
		return "patch"
	}
	return "values"
}
