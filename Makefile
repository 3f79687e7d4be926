# The two to begin with, on a fresh machine: make demo, make test

# Where Go's own archive puts it, for a machine that has it nowhere else.
export PATH := $(PATH):/usr/local/go/bin
# Flags and jobs of this make are not for those that we start.
unexport MAKEFLAGS MFLAGS

GO       := go
TOOL      = CGO_ENABLED=0 $(GO) tool -modfile=scripts/tools/go.mod
FUZZTIME ?= 30s

PREFIX     ?= /usr
SYSCONFDIR ?= /etc
DESTDIR    ?=
FLAVOR     ?=

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## the program, bin/dkms: static, and the same bytes every time
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o bin/dkms ./cmd/dkms

demo: ## a real module through add, build, sign, install, status (installs what is missing)
	@scripts/deps demo
	@$(MAKE) --no-print-directory build
	@scripts/demo

test: ## all tests (installs what is missing)
	@scripts/deps test
	env -u MAKELEVEL CGO_ENABLED=0 $(GO) test -timeout 12m ./...

check: ## what needs only Go: format, vet, outdated constructs, the borders of the rooms
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	$(GO) vet ./...
	$(GO) fix -diff ./...
	$(GO) test -run 'Rooms' ./dkms

race: ## all tests under the race detector, in random order
	@scripts/deps race
	env -u MAKELEVEL CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 $(GO) test -race -shuffle=on -timeout 20m ./...

bench: build ## figures, as ratios to upstream's dkms
	@scripts/bench && scripts/bench-depmod && scripts/bench-sync

fuzz: ## every fuzz test for FUZZTIME (30s)
	@scripts/fuzz $(FUZZTIME)

lint: ## golangci-lint, staticcheck, shellcheck, mandoc, man --warnings, systemd-analyze
	@scripts/deps lint
	@scripts/lint

fmt: ## format the Go files
	$(TOOL) golangci-lint fmt ./...

e2e-packages: build ## Debian's module packages, built by upstream's dkms and by ours, compared
	@scripts/deps e2e
	@scripts/e2e-packages

e2e-apt: deb ## our package under apt, beside Debian's dkms: kernels, headers, modules, upgrades, removals
	@scripts/deps e2e
	@scripts/e2e-apt

e2e-dnf: rpm ## our package under dnf: the same
	@scripts/deps dnf
	@scripts/e2e-dnf

e2e-pacman: arch ## our package under pacman: the same
	@scripts/deps pacman
	@scripts/e2e-pacman

e2e-conf: ## dkms.conf of all of Debian's module packages, against upstream's (UPSTREAM=.../dkms.in, SUITES=)
	@scripts/deps test
	@scripts/e2e-conf --upstream '$(UPSTREAM)' $(SUITES)

e2e-random: build ## random sequences with another dkms and ours, compared (UPSTREAM=checkout; default Debian's package)
	@scripts/e2e-random $(if $(UPSTREAM),--upstream '$(UPSTREAM)')

e2e-oracle: build ## what upstream's tests leave out, against upstream's dkms (UPSTREAM=checkout)
	@scripts/deps oracle
	@scripts/e2e-oracle --upstream '$(UPSTREAM)'

e2e-depmod: build ## indexes of real kernels, against kmod's depmod 30 and 34; twenty thousand random edits
	@scripts/deps e2e
	@scripts/e2e-depmod
	env -u MAKELEVEL CGO_ENABLED=0 $(GO) test -count 1 -timeout 60m ./build/depmod -run 'Incremental' -steps 2500

e2e-kmod: build ## kmod's own tests of depmod, run against ours (KMOD=checkout)
	@scripts/deps test
	@scripts/e2e-kmod --kmod '$(KMOD)'

e2e-jobserver: ## the jobserver with make 4.4, which knows named pipes (ROOT=directory with such a make)
	@scripts/deps e2e
	@scripts/e2e-jobserver $(ROOT)

crash: ## end the program at its changes, by SIGKILL and power cut, and look (POINTS=60 for each command, or all)
	@scripts/deps test
	env -u MAKELEVEL DKMS_CRASH_POINTS=$(or $(POINTS),60) $(GO) test -timeout 120m -count=1 -run 'TestCrash' -v ./cmd/dkms

e2e-stress: ## twenty at once, ROUNDS (50) times
	@scripts/deps test
	env -u MAKELEVEL DKMS_STRESS_ROUNDS=$(or $(ROUNDS),50) $(GO) test -timeout 60m -count=1 -run TwentyAtOnce -v ./cmd/dkms

e2e-secureboot: build ## what we sign loads under Secure Boot, and nothing else does (BOOT=program, see scripts/e2e-secureboot)
	@scripts/e2e-secureboot --boot '$(BOOT)'

install: build ## with DESTDIR, PREFIX, SYSCONFDIR, FLAVOR=debian|redhat|arch|generic
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' FLAVOR='$(FLAVOR)' scripts/install

deb: build ## bin/dkms-go_*.deb, the same bytes for the same SOURCE_DATE_EPOCH
	@GO='$(GO)' scripts/package deb

rpm: build ## bin/dkms-go-*.rpm, likewise
	@GO='$(GO)' scripts/package rpm

arch: build ## bin/dkms-go-*.pkg.tar.zst, likewise
	@GO='$(GO)' scripts/package arch

clean: ## remove what was built
	rm -rf bin

.DEFAULT_GOAL := help
.PHONY: help build demo test check race bench fuzz lint fmt e2e-packages e2e-apt e2e-dnf e2e-pacman e2e-conf e2e-random e2e-oracle e2e-depmod e2e-kmod e2e-jobserver e2e-secureboot e2e-stress crash install deb rpm arch clean
