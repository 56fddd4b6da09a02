# Everything here needs Go and make alone: tools/install brings the programs that lack, where that is possible.
GO      ?= go
export GO
# One way to build, that of the image, so that all but the race detector share what is built.
export CGO_ENABLED = 0
export GOFLAGS    := $(GOFLAGS) -trimpath
TOOL     = $(GO) tool -modfile=tools/go.mod
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

.NOTPARALLEL:
.PHONY: help demo test-short test test-all build servers programs bench bench-partitions bench-amend limits pages simulate chaos failover fuzz corpus axe judge chart lint format vet vulnerabilities race generate generated matrix site release release-check

help: ## list what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

demo: build servers ## the whole path on this machine, with real servers and a local inbox
	bin/tocsin demo $(ARGS)

test-short: format vet ## the tests that start no servers: under a minute
	@tools/gotest --hide-summary=skipped -- -short ./...
	@echo "The skipped tests start servers: make test runs them."

# The tests that decide about a change draw the same cases each time; make test-all looks for others.
test test-short: export RAPID_SEED = 1

test: lint vulnerabilities site race ## all that must be green: style, known vulnerabilities, tests; six minutes at most

test-all: export TOCSIN_TEST_ALL = 1
test-all: export TOCSIN_TEST_AXE = $(AXE_DIR)/package/axe.min.js
test-all: export TOCSIN_TEST_STANDARDWEBHOOKS = $(JUDGE_DIR)/node_modules/standardwebhooks
test-all: CHAOS_SEED = 11
test-all: BENCH = -bench.recipients 10000 -bench.rounds 1 -bench.large 0
test-all: lint vulnerabilities generated axe judge chart race fuzz simulate limits chaos bench ## and what is slow or large: the better part of an hour

build: ## bin/tocsin
	$(GO) build -buildvcs=false -ldflags '-X main.buildVersion=$(VERSION)' -o bin/tocsin ./cmd/tocsin

servers:
	@tools/install servers

programs:
	@tools/install tests >/dev/null

bench: build programs ## the throughput of the system as shipped: half an hour
	$(GO) test -timeout 60m -run '^$$' -bench System -benchtime 1x ./cmd/tocsin $(BENCH)
	$(GO) test -run '^$$' -bench Sign ./internal/dkim

limits: servers ## how exactly limits are kept, a slow domain beside a fast one, and an outage during a mailing
	$(GO) test -count=1 -timeout 30m -run '^TestLimits' -v ./cmd/tocsin -limits

bench-partitions: servers ## whether the last of many large notices is as fast as the first: BENCH="-bench.notices 20 -bench.rows 100000" is ten minutes
	$(GO) test -timeout 24h -run '^$$' -bench Parts -benchtime 1x ./internal/ledger $(BENCH)

bench-amend: servers ## how long it takes to amend a notice to 100,000 and to 1,000,000: three minutes
	$(GO) test -timeout 60m -run '^$$' -bench Amend -benchtime 1x ./internal/ledger

pages: servers ## the time of each page of the console over 1,000,000 deliveries, and the plans of its queries: four minutes
	TOCSIN_TEST_ALL=1 $(GO) test -count=1 -timeout 60m -run '^TestPages$$' -v ./cmd/tocsin -bench.pages 1000000

SIMULATE ?= 1m

simulate: servers ## the delivery protocol under random faults, for SIMULATE=1m
	$(GO) test -count=1 -timeout 0 -run '^TestSimulation$$' -v ./internal/delivery -simulate $(SIMULATE)

CHAOS_SEED ?= 11,22,33,clock

chaos: servers ## the promise while everything is being broken: a quarter of an hour
	$(GO) test ./cmd/tocsin -run '^TestChaos$$' -count 1 -v -timeout 60m -chaos.seed=$(CHAOS_SEED)
	$(GO) test ./cmd/tocsin -run '^TestChaos$$' -count 1 -v -timeout 20m -chaos.seed=1 -chaos.sentinel -chaos.recipients=8000 -chaos.faults=12 \
		-chaos.kinds=redis-failover,redis-flush,worker-kill,postgres-crash

MATRIX ?= 15 16 17 18

matrix: ## the protocol, and a notice from release to report, on MATRIX="15 16 17 18" versions of Postgres
	@tools/matrix $(MATRIX)

FAILOVERS ?= 50

failover: servers ## FAILOVERS=50 primaries of Postgres killed with a synchronous standby, and as many with one that lags: twenty minutes
	$(GO) test ./cmd/tocsin -run '^TestAFailover(While|ThatLosesCommits)' -count 1 -v -timeout 120m -parallel 4 -failovers $(FAILOVERS)

FUZZ ?= 10s

fuzz: ## each parser of foreign bytes, for FUZZ=10s
	@grep -r --include='*_test.go' '^func Fuzz' . | sed -E 's#^(.*)/[^/]*:func (Fuzz[A-Za-z0-9]*).*#\1 \2#' | while read -r package name; do \
		echo "$$package $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZ) -fuzzminimizetime 10x "$$package" </dev/null || exit 1; \
	done

corpus: ## how many mails of a directory are read right: CORPUS=DIR
	@test -n "$(CORPUS)" || { echo 'corpus: name a directory of mails with an index.tsv: make corpus CORPUS=DIR'; exit 2; }
	$(GO) test -count=1 -run '^TestCorpus$$' -v ./internal/bounce -corpus "$(abspath $(CORPUS))"

CLDR = internal/cldr

generate: ## the tables of CLDR and what Intl writes, from npm's packages: needs Node with CLDR 48.0 (20, 22)
	npm ci --prefix $(CLDR)/generate --no-audit --no-fund
	node $(CLDR)/generate/generate.mjs
	node $(CLDR)/testdata/intl.mjs

generated: ## whether the tables of CLDR are those that the script writes
	@if ! command -v npm >/dev/null; then echo "the tables of CLDR: NOT CHECKED, there is no npm"; \
	elif ! npm ci --prefix $(CLDR)/generate --no-audit --no-fund --silent; then echo "the tables of CLDR: NOT CHECKED, npm can't be reached"; \
	else node $(CLDR)/generate/generate.mjs --check; fi

lint: format vet ## gofmt, vet and staticcheck
	$(TOOL) staticcheck ./...

format:
	@echo gofmt -l .
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet ./...
	$(GO) -C tools vet ./...

# The vulnerability database is on the network: to be cut off from it is no failure of the code, and is said.
vulnerabilities: ## govulncheck: known vulnerabilities that our code reaches
	@echo $(TOOL) govulncheck ./...
	@status=0; said=$$($(TOOL) govulncheck ./... 2>&1) || status=$$?; echo "$$said"; \
	case $$status in \
	0) ;; \
	3) echo "govulncheck: our code reaches known vulnerabilities, listed above"; exit 1 ;; \
	*) case $$said in \
	   *"fetching vulnerabilities"*) echo "govulncheck: NOT CHECKED, the vulnerability database can't be reached" ;; \
	   *) exit 1 ;; \
	   esac ;; \
	esac

# It looks at the pages of the console in a browser. It is fetched once, and is no part of the program.
AXE = 4.14.1
AXE_DIR = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tocsin/axe-core-$(AXE)

axe: ## axe-core, from npm into a cache directory
	@if [ -s $(AXE_DIR)/package/axe.min.js ]; then :; \
	elif mkdir -p $(AXE_DIR) && cd $(AXE_DIR) && npm pack --silent axe-core@$(AXE) >/dev/null && tar -xzf axe-core-$(AXE).tgz package/axe.min.js package/LICENSE; then :; \
	else echo "axe-core: NOT FETCHED, there is no npm or it can't be reached: the pages of the console are not checked for WCAG"; fi

# The library with which receivers in JavaScript check our webhooks.
JUDGE = 1.1.1
JUDGE_DIR = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tocsin/standardwebhooks-$(JUDGE)

judge: ## standardwebhooks, from npm into a cache directory
	@if [ -s $(JUDGE_DIR)/node_modules/standardwebhooks/package.json ]; then :; \
	elif npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(JUDGE_DIR) standardwebhooks@$(JUDGE) >/dev/null; then :; \
	else echo "standardwebhooks: NOT FETCHED, there is no npm or it can't be reached: no other program judges the signatures of webhooks"; fi

# Its build tag keeps Helm and the types of Kubernetes out of all other builds. kubeconform's schemas are on the network.
chart: export CHART_OUT = $(or $(TMPDIR),/tmp)/tocsin-chart
chart: ## the Helm chart: linted, rendered, each object decoded strictly into its type
	@rm -rf $(CHART_OUT) && mkdir -p $(CHART_OUT)
	$(GO) -C tools test -tags chart -count 1 ./chart
	@status=0; said=$$($(TOOL) kubeconform -strict -summary $(CHART_OUT)/*.yaml 2>&1) || status=$$?; \
	case $$status:$$said in \
	0:*) echo "$$said" ;; \
	*"no such host"*|*"dial tcp"*|*"proxyconnect"*|*"Forbidden"*|*"failed downloading schema"*) echo "kubeconform: NOT CHECKED, its schemas can't be fetched" ;; \
	*) echo "$$said"; exit 1 ;; \
	esac

site: ## the documents as pages, in bin/site, with every link checked
	$(GO) -C tools run ./site -source .. -out ../bin/site

RELEASE = $(GO) tool -modfile=tools/release/go.mod goreleaser

# The version is that of the changelog's newest section. GORELEASER_FLAGS=--skip=docker,sbom leaves out the bills of materials too.
release-check: export GORELEASER_CURRENT_TAG = v$(RELEASED)
release-check: RELEASED = $(shell sed -n 's/^## \[\([0-9][^]]*\)\].*/\1/p' CHANGELOG.md | head -1)
release-check: GORELEASER_FLAGS = --skip=docker
release-check: ## a release as goreleaser makes it, in bin/dist, without publishing any of it
	$(RELEASE) check --quiet
	$(RELEASE) release --snapshot --clean --timeout 2h $(GORELEASER_FLAGS)
	tools/release/check bin/dist $(RELEASED)-snapshot

# CI runs it at a tag, with the secrets of the hosting.
release: TAG = $(shell git describe --exact-match --tags)
release: ## the release of the tag at HEAD, as a draft: see CONTRIBUTING.md
	mkdir -p bin
	tools/release/notes $(TAG:v%=%) >bin/notes.md
	$(RELEASE) release --clean --release-notes=bin/notes.md

# Only building something with the race detector tells whether it is there: it needs a C compiler with its headers.
RACE_WORKS = CGO_ENABLED=1 $(GO) test -race -run '^$$' ./internal >/dev/null 2>&1

# make test has these without it: the program's own tests start hundreds of processes, the others compute in one goroutine,
# and under it they take three to nine times as long. The mails that many goroutines fill at once have it.
UNRACED = $(if $(TOCSIN_TEST_ALL),$$^,/cmd/tocsin$$|/internal/(audience|bounce|render)$$)
TESTS   = tools/gotest -- -vet=off -parallel 4 -timeout 60m

race: ## the tests, with the race detector where it can be had
	@without=$$(tools/install tests) || exit 1; \
	export TOCSIN_TEST_WITHOUT="$$without"; \
	if $(RACE_WORKS); then \
		$(GO) test -run '^(TestASeedReplaysExactly|TestSimulation)$$' ./internal/delivery || exit 1; \
		export TOCSIN_TEST_LOG=$$(mktemp); status=0; \
		CGO_ENABLED=1 $(GO) test -race -vet=off -run AtOnce ./internal/render || status=1; \
		CGO_ENABLED=1 GOGC=400 GORACE=atexit_sleep_ms=0 $(TESTS) -race $$($(GO) list ./... | grep -Ev '$(UNRACED)') || status=1; \
		[ -n "$(TOCSIN_TEST_ALL)" ] || $(TESTS) $$($(GO) list ./... | grep -E '$(UNRACED)') || status=1; \
		tools/gotest slowest; rm -f "$$TOCSIN_TEST_LOG"; exit $$status; \
	else \
		echo "no C compiler: testing WITHOUT the race detector"; \
		$(TESTS) ./...; \
	fi
