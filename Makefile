# What go build, go test and go generate do not do by themselves.
# CI runs these targets; see .ci/run.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

# Only the race detector needs cgo.
export CGO_ENABLED := 0

# The tests of the root module, short and never from the cache: it takes no
# notice of SIMDRNN_ISA, which is read before tests run.
SHORT := go test -count=1 -short
ALL   := ./...

# Modules below the root.
NESTED = $(patsubst ./%/go.mod,%,$(shell find . -mindepth 2 -name go.mod))

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The emulator of a processor. SIMD in it is some 400 times slower, so that the
# tests shrink their sizes.
qemu     = $(or $(shell command -v qemu-$(1)-static || command -v qemu-$(1)),qemu-$(1))
EMULATED := SIMDRNN_EMULATED=1
EMU_TEST := $(SHORT) -vet=off

# What QEMU would warn about for a Haswell.
UNKNOWN := -pcid,-x2apic,-tsc-deadline,-invpcid,-hle,-rtm

# Platforms beyond those with assembly: 32-bit and big-endian ones among them.
VET := linux/amd64 linux/arm64 windows/amd64 darwin/arm64 linux/386 linux/s390x linux/riscv64

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

## Generated code

.PHONY: generate check
generate: ## write the assembly, stubs and switches in kernels
	go generate ./...

check: ## fail if kernels is not what the generator makes of its hand-written files
	@new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
	cp -r kernels "$$new"; \
	rm $$(grep -l '^// Code generated' "$$new"/kernels/*.*); \
	go -C asm run . "$$new/kernels"; \
	diff -ru kernels "$$new/kernels"; \
	echo 'kernels is as generated'

## Tests

.PHONY: test test-long test-isa test-purego test-race test-nested
test: ## all tests on the fastest path of this machine
	go test ./...

test-long: ## exhaustive tests: every float32, T = 1000
	SIMDRNN_LONG=1 go test -count=1 -timeout=3h $(ALL)

# TestPaths has a subtest for each path and skips those that are not available.
test-isa: ## tests with every path of this machine in turn
	@paths=$$(go test -count=1 -v -run='^TestPaths$$' ./kernels); \
	grep -o 'NOT COVERED.*' <<<"$$paths" || true; \
	for isa in generic $$(sed -n 's,^ *--- PASS: TestPaths/isa=\([a-z0-9]*\).*,\1,p' <<<"$$paths"); do \
		echo "SIMDRNN_ISA=$$isa $(SHORT) $(ALL)"; \
		SIMDRNN_ISA=$$isa $(SHORT) $(ALL); \
	done

test-purego: ## tests without assembly
	$(SHORT) -tags=purego $(ALL)

test-race: ## tests under the race detector
	CGO_ENABLED=1 $(SHORT) -race $(ALL)

test-nested: ## tests of the modules below the root
	@for dir in $(NESTED); do echo "cd $$dir && go test -count=1 ./..."; go -C $$dir test -count=1 ./...; done

## Tests on other processors, emulated

.PHONY: test-haswell test-nehalem test-arm64 test-s390x
test-haswell: ## tests on amd64 without AVX-512
	$(EMULATED) SIMDRNN_REQUIRE=avx2 GOARCH=amd64 $(EMU_TEST) -exec='$(call qemu,x86_64) -cpu Haswell,$(UNKNOWN)' $(ALL)

test-nehalem: ## tests on amd64 without AVX
	$(EMULATED) GOARCH=amd64 $(EMU_TEST) -exec='$(call qemu,x86_64) -cpu Nehalem' $(ALL)

test-arm64: ## tests on arm64
	$(EMULATED) SIMDRNN_REQUIRE=neon GOARCH=arm64 $(EMU_TEST) -exec='$(call qemu,aarch64)' $(ALL)

test-s390x: ## tests on a big-endian machine
	$(EMULATED) GOARCH=s390x $(EMU_TEST) -exec='$(call qemu,s390x)' ./kernels ./cell ./layer

## Static checks

.PHONY: fmt vet-all staticcheck mod
fmt: ## list files that gofmt would change
	@files=$$(gofmt -l .); if [[ $$files ]]; then echo "gofmt -w:" $$files; exit 1; fi

vet-all: ## go vet for many platforms, and in every module
	@for p in $(VET); do \
		for tags in '' purego; do \
			echo "$$p go vet -tags=$$tags ./..."; \
			GOOS=$${p%/*} GOARCH=$${p#*/} go vet -tags=$$tags ./...; \
		done; \
	done; \
	for dir in $(NESTED); do echo "cd $$dir && go vet ./..."; go -C $$dir vet ./...; done

staticcheck: ## staticcheck of the root module and asm
	go run $(STATICCHECK) ./...
	go -C asm run $(STATICCHECK) ./...

# A user of all packages must not see more modules than these.
MODULES := github.com/simdrnn/simdrnn github.com/stretchr/testify go.yaml.in/yaml/v3 golang.org/x/sys

mod: ## go.mod is tidy, and a user's module graph holds what it must and no more
	@for dir in . $(NESTED); do echo "cd $$dir && go mod tidy -diff"; go -C $$dir mod tidy -diff; done
	@user=$$(mktemp -d); trap 'rm -rf "$$user"' EXIT; \
	{ echo 'package main'; go list -f 'import _ "{{.ImportPath}}"' ./cell ./kernels ./layer ./train; echo 'func main() {}'; } >"$$user/main.go"; \
	cp go.sum "$$user"; cd "$$user"; \
	go mod init example.com/user 2>/dev/null; \
	go mod edit -require=github.com/simdrnn/simdrnn@v0.0.0 -replace=github.com/simdrnn/simdrnn='$(CURDIR)'; \
	go mod tidy; go build -o user .; \
	diff -u --label 'modules that a user may see' --label 'go list -m all' \
		<(printf '%s\n' $(MODULES)) <(go list -m -f '{{if not .Main}}{{.Path}}{{end}}' all | grep .); \
	echo "a user's module graph:" $(MODULES)

## Benchmarks

.PHONY: bench
bench: ## compare our own paths, and plain Go
	go test -run='^$$' -bench=. $(BENCHFLAGS) ./bench
