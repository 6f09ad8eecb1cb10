# naru: build, try, test. README.md has the two commands to begin with.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN     := bin
HELPERS := naru-log naru-init naru-static

# One set of flags for everything: other flags would compile all of it again.
export CGO_ENABLED := 0
export GOFLAGS := -buildvcs=false
LDFLAGS := -s -w -X naru/internal/version.Version=$(VERSION)

# The race detector also checks each pointer of SQLite, which was C once: that takes
# as long as all the rest of a test with a database, and is not about our code.
FAST_SQLITE := -gcflags=modernc.org/...=-d=checkptr=0

# With CHECKED=1, after make check: those packages of which it left something out,
# tests too slow for the race detector or in its way. The others ran whole.
PACKAGES = $(shell go list ./... | grep -v /e2e)
ifdef CHECKED
PACKAGES = $(shell grep -rlE 'testing\.Short\(\)|!race' --include='*_test.go' --exclude-dir=e2e . | xargs -n 1 dirname | sort -u)
endif

.PHONY: help build demo test check bench e2e release install-deps generate lint clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: $(BIN)/buildkitd ## naru and the helper programs it supervises, in bin/
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/naru ./cmd/naru
	@for p in $(HELPERS); do go build -ldflags '-s -w' -o $(BIN)/$$p ./cmd/$$p || exit 1; done

# The daemon is a module of its own and changes only with its version.
$(BIN)/buildkitd: tools/buildkit/go.mod tools/buildkit/go.sum
	@mkdir -p $(BIN)
	cd tools/buildkit && go build -ldflags '-s -w' -o $(CURDIR)/$@ github.com/moby/buildkit/cmd/buildkitd

demo: ## install what is missing, build, start, push a sample, stay up until Ctrl-C
	@scripts/demo

install-deps: ## what demo and test need from Debian (as root)
	@scripts/install-deps

test: install-deps build ## all tests, those that need containers too
	go test -timeout 30m $(PACKAGES)
	$(MAKE) --no-print-directory e2e

e2e: build ## the end-to-end suite: the CLI against a running platform
	go test -timeout 45m -count=1 -parallel 4 ./e2e/...

check: lint ## format, vet, static analysis, generated files, race tests of what needs no machine
	@out=$$(gofmt -l cmd internal e2e packaging 2>/dev/null); [ -z "$$out" ] || { echo "gofmt: $$out"; exit 1; }
	go vet ./...
	CGO_ENABLED=1 go test -race -short $(FAST_SQLITE) -timeout 20m $(shell go list ./... | grep -v /e2e)

lint: $(BIN)/staticcheck
	$(BIN)/staticcheck ./...

$(BIN)/staticcheck: tools/lint/go.mod
	@mkdir -p $(BIN)
	cd tools/lint && go build -o $(CURDIR)/$@ honnef.co/go/tools/cmd/staticcheck

generate: ## reference pages from the code
	NARU_UPDATE=1 go test ./internal/api ./cmd/naru ./internal/config -run 'Reference|Generated' -count=1

bench: build ## the figures of the project, each with its peer in the same run
	@scripts/install-deps bench
	@scripts/bench

release: ## reproducible binaries, packages, checksums and SBOM in dist/
	@scripts/release $(VERSION)

clean: ## remove what was built
	rm -rf $(BIN) dist
