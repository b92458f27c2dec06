# A fresh machine needs Go, make and git; every target does the rest itself.

BINARY  := bin/rainbond-exporter
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION := $(shell git rev-parse HEAD 2>/dev/null)
V       := github.com/prometheus/common/version
LDFLAGS := -s -w -X $(V).Version=$(VERSION) -X $(V).Revision=$(REVISION)

FUZZ ?= 4

.DEFAULT_GOAL := help
.PHONY: help build demo test fuzz e2e bench lint fmt check clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the binary, in bin/
	@echo "building $(BINARY) (the first time takes a minute or two) ..."
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/rainbond-exporter

demo: build ## a region that breaks on purpose, on http://127.0.0.1:10069
	@$(BINARY) demo

test: ## every test but the end-to-end ones: minutes, with the race detector
	@echo "test 1/4: vet"
	@go vet ./... && go vet -tags e2e ./test/...
	@echo "test 2/4: promtool, built once, for the rules"
	@tools/build promtool amtool
	@tools/bin/promtool check rules --lint=all --lint-fatal rules/rainbond.rules.yaml
	@tools/bin/promtool test rules rules/rainbond.test.yaml
	@echo "test 3/4: go test -race (the first time compiles everything: some minutes)"
	@go test -race ./...
	@echo "test 4/4: fuzzing, some ten seconds each"
	@$(MAKE) --no-print-directory fuzz

# Runs are counted, not timed: when its time is up in the middle of a run, Go's fuzzer may call that a failure.
fuzz: ## some ten seconds for each parser that reads what others wrote (FUZZ=40 for ten times as much)
	@go clean -fuzzcache # what counts is the committed corpus; a large cache would eat the time
	@go test ./fault -run '^$$' -fuzz '^FuzzFromLogLine$$' -fuzztime $(FUZZ)00000x
	@go test ./fault -run '^$$' -fuzz '^FuzzReadCopy$$' -fuzztime $(FUZZ)00000x
	@go test ./region -run '^$$' -fuzz '^FuzzParseConfig$$' -fuzztime $(FUZZ)000x

e2e: build ## real parts: API server, Prometheus, Alertmanager, webhook; MariaDB; curl, openssl, Python
	@tools/build etcd kube-apiserver prometheus alertmanager promtool
	@go test -tags e2e -count=1 -v -timeout 20m ./test/e2e
	@tools/apt curl openssl python3 mariadb-server
	@go test -count=1 -v ./test/clients ./test/console

bench: build ## against the floor and our peers, as ratios, into docs/benchmarks.md
	@tools/bench

lint: ## golangci-lint
	@tools/build golangci-lint
	@tools/bin/golangci-lint run ./...
	@tools/bin/golangci-lint run --build-tags e2e ./test/...

fmt: ## gofmt everything
	@gofmt -w cmd collector dashboards demo docs doctor fault region rules test

check: test lint ## what to run before you send a change

clean: ## remove what was built
	@rm -rf bin tools/bin
