# A fresh machine needs Go, make and git; every target does the rest itself.

BINARY  := bin/rainbond-exporter
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION := $(shell git rev-parse HEAD 2>/dev/null)
V       := github.com/prometheus/common/version
LDFLAGS := -s -w -X $(V).Version=$(VERSION) -X $(V).Revision=$(REVISION)

FUZZ ?= 4

# One set of flags for binary, vet, tests and tools: with others, Go compiles the same packages again.
export CGO_ENABLED ?= 0
export GOFLAGS := $(strip -trimpath $(GOFLAGS))

.DEFAULT_GOAL := help
.PHONY: help build demo demo-stack test race promtool documents fuzz e2e e2e-browser pictures clients faults faults-ci soak breakage invariants bench scale lint fmt check clean chart stack panels image sync release vuln workflows words links cross

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the binary, in bin/
	@echo "building $(BINARY) (the first time takes a minute or two) ..."
	@go build -tags "$$(cat tools/tags.txt)" -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/rainbond-exporter

demo: build ## a region that breaks on purpose, on http://127.0.0.1:10069
	@$(BINARY) demo

demo-stack: build ## the demo with a real Prometheus and Alertmanager, and the messages that they send
	@tools/build prometheus alertmanager
	@go build -o bin/demo-stack ./test/demostack
	@exec bin/demo-stack

# Many tests wait for time limits: six at once on two cores. In CI, gotestsum lists the ten slowest.
test: ## vet and the unit tests: minutes (make check adds the linters, the race detector, fuzzing and promtool)
	@echo "test 1/2: vet"
	@go vet ./... && go vet -tags e2e,faults,panels ./test/...
	@echo "test 2/2: go test (the first time compiles everything: some minutes)"
	@$(if $(CI),tools/build gotestsum && mkdir -p bin && tools/bin/gotestsum --format=pkgname --jsonfile=bin/tests.json --,go test) -short -parallel 6 -timeout 60m ./...
	@$(if $(CI),echo "the ten slowest tests:" && tools/bin/gotestsum tool slowest --num=10 --jsonfile=bin/tests.json)

# The packages that start goroutines. The tests of rules, dashboards and documents have none of their own.
RACE ?= ./alerting/... ./cmd/... ./collector/... ./console/... ./demo/... ./doctor/... ./filesystem/... ./kube/... ./probe/... ./relay/... ./report/... ./tour/...

race: ## the tests of the packages with goroutines, with the race detector (needs a C compiler)
	@CGO_ENABLED=1 go test -race -timeout 90m $(RACE)

promtool: ## promtool, amtool, vmalert, and the rule checkers of Thanos and Mimir, on the rules and the routes
	@tools/build promtool promtool-2.20 promtool-2.53 prometheus prometheus-2.20 amtool vmalert thanos-rules mimir-rules
	@tools/noskip ./rules ./rules/variant

documents: ## the commands and YAML of the documentation, with amtool, promtool and kubectl
	@tools/build promtool amtool kubectl
	@tools/apt docker-compose podman-compose
	@tools/noskip ./test/documents ./test/compose

# Runs are counted, not timed: when its time is up in the middle of a run, Go's fuzzer may call that a failure.
fuzz: ## some ten seconds for each parser that reads what others wrote (FUZZ=40 for ten times as much)
	@go clean -fuzzcache # what counts is the committed corpus; a large cache would eat the time
	@go test -timeout 30m ./fault -run '^$$' -fuzz '^FuzzFromLogLine$$' -fuzztime $(FUZZ)00000x
	@go test -timeout 30m ./fault -run '^$$' -fuzz '^FuzzReadCopy$$' -fuzztime $(FUZZ)00000x
	@go test -timeout 30m ./console -run '^$$' -fuzz '^FuzzParseConfig$$' -fuzztime $$(($(FUZZ) * 2000))x

e2e: build ## real parts: API server, Prometheus, Alertmanager, webhook; MariaDB; curl, openssl, Python
	@tools/build etcd kube-apiserver kubectl helm prometheus alertmanager promtool prometheus-2.20 amtool
	@go test -tags e2e -count=1 -v -timeout 20m -skip '^(TestTheChart|TestWhileThingsBreak|TestUnknownIsNotDown|TestSoak|TestEveryPanelHasItsAnswers|TestDataSources|TestTheDashboardsHaveGrafanasTypes)$$' ./test/e2e # make chart, breakage, panels
	@$(MAKE) --no-print-directory clients

clients: ## real programs: MariaDB as the console's database; curl, openssl and Python as clients of the region's API
	@tools/apt curl openssl python3 mariadb-server golang-1.19
	@tools/noskip ./test/clients ./test/console

# One row by name: make faults ROW=cert-rotated-broken. Without a name, all rows, half an hour, into docs/faults.md.
# In another installation: make faults INSTALLATION=quick, with or without ROW, into the table of installations of that page.
# INSTALLATION=all runs a ROW in all of them at once; without a ROW it runs them one after the other, four hours.
INSTALLATIONS := quick host kubernetes managed remote-console namespace v5
FAULTS = ../../bin/faults.test -test.run '^TestFaults$$' -test.timeout 80m -test.parallel 200 $(if $(INTERVAL),-interval=$(INTERVAL)) $(if $(ENGINE),-engine=$(ENGINE))
# Every collector, noise, two faults at once, a cause and its symptom; what takes longest begins first.
FAULTS_CI := tls-go-distrusts,api-one-miss,watch-kube-down,component-half,api-5xx,api-dropped,api-reset,api-one-other-failure,api-pod-down,cert-rotated-broken,cert-rotated-latent,cert-one-failure,cert-secret-gone,cert-crlf,node-role-bare-key,node-role-none,disk-takes-api,disk-readonly,two-regions,two-faults,tls-scanner,component-rolling,node-role-empty-value,api-wrong-peer,watch-db-locked,two-scrapers,quick/cert-crlf,quick/api-refused-pod-ready,host/cert-rotated-latent,kubernetes/node-role-bare-key,managed/api-dropped,remote-console/api-pod-down,namespace/component-gone,v5/cert-ca-stale

faults: build ## every fault at the pace that ships, one page each: half an hour (ROW=name plays one; INSTALLATION=quick, INTERVAL=60s, ENGINE=vmalert or victoriametrics: elsewhere)
	@tools/build prometheus promtool alertmanager amtool $(if $(ENGINE),vmalert victoria-metrics)
	@go test -tags e2e,faults -c -o bin/faults.test ./test/e2e
	@cd test/e2e && $(if $(ROW)$(filter-out all,$(INSTALLATION))$(INTERVAL)$(ENGINE),\
		$(FAULTS) $(if $(ROW),-quick -row=$(ROW)) $(if $(INSTALLATION)$(INTERVAL)$(ENGINE),-record) $(if $(INSTALLATION),-installation=$(INSTALLATION)),\
		$(if $(INSTALLATION),for i in default $(INSTALLATIONS); do $(FAULTS) -record -installation=$$i || failed=1; done; test -z "$$failed",$(FAULTS) -record))

faults-ci: build ## some of the faults, in eleven minutes
	@$(MAKE) --no-print-directory faults ROW=$(FAULTS_CI)

soak: build ## every installation without a fault for half an hour, with Prometheus and Alertmanager: no alert, and check exits 0 (SOAK=5m)
	@tools/build prometheus promtool alertmanager amtool
	@go test -tags e2e,faults -c -o bin/faults.test ./test/e2e
	@cd test/e2e && ../../bin/faults.test -test.run '^TestInstallationsStayQuiet$$' -test.timeout 4h -healthy=$(or $(SOAK),30m)

# With SOAK=15m things break for a quarter of an hour besides, and docs/soak.svg is drawn.
invariants: ## 10,000 simulated worlds of failing dependencies and scrapers (RUNS=N for more); ten minutes
	@go test ./collector -count=1 -v -timeout 60m -run '^TestInvariants$$' -invariants.runs=$(or $(RUNS),10000)

breakage: build ## the Kubernetes API breaks in ten ways; a locked table, two scrapers, 32 descriptors; eight minutes (SOAK=15m for memory's curve)
	@tools/build etcd kube-apiserver prometheus alertmanager
	@tools/apt nftables mariadb-server
	@go test -tags e2e -count=1 -v -timeout 10m -parallel 3 -run '^TestUnknownIsNotDown$$' ./test/e2e
	@echo "breakage: the exporter with the race detector in it ..."
	@CGO_ENABLED=1 go build -race -o bin/rainbond-exporter-race ./cmd/rainbond-exporter
	@go test -tags e2e -count=1 -v -timeout 15m -parallel 16 -run '^TestWhileThingsBreak$$' ./test/e2e
	@$(if $(SOAK),go test -tags e2e -count=1 -v -timeout 60m -run '^TestSoak$$' ./test/e2e -soak=$(SOAK))

e2e-browser: build ## the pages in Chromium: every scenario, both languages, phone and desktop, axe-core
	@tools/browser
	@go test -tags e2e -count=1 -v -timeout 15m ./test/browser

pictures: build ## makes docs/pictures again, of the real pages
	@tools/browser
	@go test -count=1 -run '^TestPreview$$' ./relay -preview=$(CURDIR)/bin
	@go test -tags e2e -count=1 -v -timeout 5m -run '^TestPictures$$' ./test/browser -pictures

bench: build ## against the floor and our peers, as ratios, into docs/benchmarks.md
	@tools/bench

scale: build ## memory and time with up to 5,000 nodes on a real API server, into docs/benchmarks.md
	@tools/scale

chart: build ## the Helm chart: renderings, refusals, and a real API server that it is installed on
	@tools/build helm helm3 helm-unittest kubeconform kubectl promtool etcd kube-apiserver
	@tools/bin/helm-unittest --strict charts/rainbond-exporter
	@go test -count=1 -v -timeout 30m ./test/chart
	@go test -tags e2e -count=1 -v -timeout 20m -run '^TestTheChart$$' ./test/e2e

# With one region, this is part of make e2e.
stack: build ## the chart's alerting stack: installed on a real API server, run by the real programs, one message per fault; into docs/stack.md
	@tools/build etcd kube-apiserver kubectl helm prometheus alertmanager
	@go test -tags e2e -count=1 -v -timeout 30m -run '^TestTheStack$$' ./test/e2e -stack.table=../../docs/stack.md

sync: ## makes the dashboards, copies them and the rules into the chart, and makes the chart's README and the guide in HTML
	@tools/sync

panels: build ## dashboards: each panel drawn with Grafana's components into dist/panels, types of three Grafana versions, queries on VictoriaMetrics and Mimir (PICTURES=1: those of the documentation)
	@tools/build prometheus victoria-metrics mimir-query
	@tools/browser
	@echo "panels: npm ci in test/panels (500 MB; a minute or two) ..."
	@cd test/panels && npm ci --no-progress --loglevel=error
	@tools/noskip -tags e2e -timeout 20m -run '^(TestEveryPanelHasItsAnswers|TestDataSources|TestTheDashboardsHaveGrafanasTypes)$$' ./test/e2e
	@echo "panels: bundling @grafana/ui, which takes a while ..."
	@node test/panels/bundle.mjs dist/panels
	@tools/noskip -tags e2e,panels -timeout 10m -run '^TestEveryPanelIsDrawn$$' ./test/browser $(if $(PICTURES),-pictures)

image: ## the image, built twice into one digest, as an archive in dist/ (PLATFORMS="linux/amd64 linux/arm64")
	@tools/image $(PLATFORMS)

cross: ## compile and vet check, demo and rules for macOS and Windows
	@for target in darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do echo "cross: $$target ..."; export GOOS=$${target%/*} GOARCH=$${target#*/}; go build -tags "$$(cat tools/tags.txt)" -o /dev/null ./cmd/rainbond-exporter && go vet -tags "$$(cat tools/tags.txt)" ./cmd/rainbond-exporter || exit 1; done

release: ## binaries, archives for kubectl, chart, SBOM and checksums, in dist/; built twice and compared
	@tools/build cyclonedx-gomod helm
	@tools/release

vuln: ## known vulnerabilities that our code can reach, where their database can be reached
	@tools/vuln

workflows: ## actionlint
	@tools/build actionlint
	@tools/bin/actionlint

lint: ## private words, and golangci-lint
	@go run ./tools/words
	@tools/build golangci-lint
	@tools/bin/golangci-lint run ./...
	@tools/bin/golangci-lint run --build-tags e2e,faults,panels ./test/...

links: ## every link of the documentation, with anchors as github-slugger makes them
	@npm ci --prefix test/links --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@tools/noskip ./test/links

words: ## private words, and the terms of the field instead of them (IN=demo for one folder; COUNT=1 for numbers)
	@go run ./tools/words $(if $(COUNT),-count) $(IN)

fmt: ## gofmt everything
	@gofmt -w cmd collector dashboards demo docs doctor fault region report rules test

check: test lint race fuzz promtool ## what to run before you send a change

clean: ## remove what was built
	@rm -rf bin tools/bin
