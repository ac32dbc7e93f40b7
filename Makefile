# What people type; CMake and the scripts in tools/ do the work. `make help` lists the targets.
# The tools must be there already: ./run and ./test install them (tools/bootstrap.sh).
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

ARCH := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x64)
# Node 22 comes as an npm package: Debian 12's own is too old for the front-end tools.
export PATH := $(CURDIR)/node_modules/node-linux-$(ARCH)/bin:$(CURDIR)/node_modules/.bin:$(PATH)
DESTDIR ?=
PREFIX ?= /usr/local
SECONDS_EACH ?= 20
SEEDS ?= 2000
HISTORIES ?= 100000
EDITORS ?=
SESSIONS ?= $(if $(EDITORS),2000,100000)
SEED ?= $(shell date +%s)

# A line for each step on a terminal, elsewhere only what goes wrong; nothing where there is nothing to do.
ninja = if [ -t 1 ]; then NINJA_STATUS='  [%f/%t] ' ninja -C build/$(1) $(2); else ninja --quiet -C build/$(1) $(2); fi \
  | sed '/^ninja: no work to do/d; /^ninja: Entering directory/d'
WEB_SOURCES := $(shell find js wasm -type f -not -path '*/dist/*' 2>/dev/null) package-lock.json VERSION \
  tools/build_js.mjs tools/build_web.mjs tools/pack_npm.mjs
# Configured once; CMake notices by itself when its files change.
build/%/build.ninja: CMakePresets.json
	@echo "laniakea: building build/$*"; mkdir -p build; cmake --preset $* > build/$*.configure.log 2>&1 || { cat build/$*.configure.log; exit 1; }

.PHONY: help
help: ## list the targets
	@echo "  make bench-SUITE    one suite of bench/, such as bench-codec"
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- building

.PHONY: build build-program build-wasm build-web build-npm
build: build-program ## the program, the libraries and the npm packages, in build/
build-program: build-web build-npm build/release/build.ninja ## build/laniakea and build/liblaniakea{,-tls}.{a,so}
	@$(call ninja,release,laniakea man liblaniakea_shared liblaniakea_static liblaniakea_tls_shared liblaniakea_tls_static)
	@ln -sf release/laniakea build/laniakea
	@for f in build/release/liblaniakea{,-tls}.a build/release/liblaniakea{,-tls}.so*; do ln -sf release/$${f##*/} build/$${f##*/}; done
build-wasm: build/wasm/build.ninja ## build/laniakea.wasm, the core for browsers
	@$(call ninja,wasm)
build-web: build/web.stamp ## build/web, the pages that the program serves
build-npm: build/npm.stamp ## build/npm/*.tgz
# Ninja knows whether the module changed; what is made of it goes by its time.
build/laniakea.wasm: build-wasm ;
build/web.stamp: build/laniakea.wasm $(WEB_SOURCES)
	@echo "laniakea: building the pages"
	@node tools/build_web.mjs
	@touch $@
build/npm.stamp: build/web.stamp
	@node tools/pack_npm.mjs
	@touch $@

.PHONY: run
run: build-program ## build and serve on http://127.0.0.1:4000
	@build/laniakea serve

.PHONY: install
install: build-program ## program, libraries, headers, pkg-config file and man page: DESTDIR= PREFIX=
	@DESTDIR="$(DESTDIR)" cmake --install build/release --strip --prefix "$(PREFIX)"

# ---- proof

.PHONY: check check-sources style test test-build asan tsan cov sim histories conformance fuzz bench bench-peers
check: check-sources build-program build-wasm build/gate/build.ninja ## the architecture gates alone
	@$(call ninja,gate)
	@node tools/test_all.mjs sources gates
# Before anything is built: a compiler would fail on the same mistakes with less to say.
check-sources:
	@mkdir -p build
	@node tools/test_all.mjs sources > build/sources.log || { cat build/sources.log; exit 1; }
style: ## a report, not a gate: longest functions, largest files, size of the module
	@node tools/report_style.mjs
test: test-build ## every kind of test; ./test installs what it needs first
	@node tools/test_all.mjs
test-build: check-sources build build-asan build-tsan build-sim build/gate/build.ninja
	@$(call ninja,gate)
build-asan: build/asan/build.ninja
	@$(call ninja,asan,tests)
build-tsan: build/tsan/build.ninja
	@$(call ninja,tsan,test_platform test_server)
build-sim: build/release/build.ninja
	@$(call ninja,release,sims doc_conformance doc_conformance_plain presence_play)
asan: build-asan ## unit tests and properties under AddressSanitizer and UndefinedBehaviorSanitizer
	@node tools/test_all.mjs unit
tsan: build-tsan ## what has threads, under ThreadSanitizer
	@node tools/test_all.mjs threads
cov: build/cov/build.ninja ## unit tests with coverage: build/cov/html/index.html
	@$(call ninja,cov,tests)
	@node tools/coverage.mjs
sim: build-sim histories ## SEEDS=2000 simulated clusters, and `make histories`
	@build/release/laniakea-sim --seeds $(SEEDS)
# Three and a half histories a case: twelve types with a weight of 4, maps with one of 2.
histories: build/release/build.ninja ## HISTORIES=100000 of CRDTs against their specification, SEED=time
	@$(call ninja,release,test_crdt)
	@build/release/test_crdt --filter are_what_the_model_says --seed $(SEED) --cases $$(($(HISTORIES) * 2 / 7 + 4))
conformance: build-sim ## SESSIONS=100000 of real Yjs played again on our documents, SEED=time; EDITORS=1: 2000 of editors
	@LK_SEED=$(SEED) LK_SESSIONS=$(SESSIONS) LK_EDITORS=$(EDITORS) node --test tests/conformance/doc/doc.test.mjs
fuzz: build/fuzz/build.ninja ## every fuzz target and property under libFuzzer, SECONDS_EACH=20
	@$(call ninja,fuzz,tests doc_conformance)
	@node tools/fuzz.mjs --seconds $(SECONDS_EACH)
bench: build-program bench-peers ## every suite of bench/ beside its peers: a table, plots, build/bench/results.json; QUICK=1
	@$(call ninja,release,benchmarks)
	@node tools/bench.mjs $(if $(QUICK),--quick)
bench-crdt bench-doc bench-rooms: bench-peers
# Libraries of others, which nothing else needs: where they cannot be had, their rows are left out.
bench-peers:
	@mkdir -p build; for suite in crdt doc rooms; do log=$(CURDIR)/build/bench-peers-$$suite.log; cd $(CURDIR)/bench/$$suite; \
	if [ package-lock.json -nt node_modules/.package-lock.json ]; then \
	  echo "laniakea: installing what bench/$$suite measures beside ours, by its package-lock.json"; \
	  npm ci --no-update-notifier --fetch-retries=0 --fetch-timeout=60000 --loglevel=error --no-audit --no-fund > $$log 2>&1 \
	  || echo "laniakea: npm could not install it ($$(sed -n 's/^npm \(ERR!\|error\) *//p' $$log | head -n 1)); those rows are left out"; fi; done
bench-%: build-program
	@$(call ninja,release,benchmarks)
	@node tools/bench.mjs $(if $(QUICK),--quick) $*

# ---- keeping order

.PHONY: generate format clean
generate: ## make again what is made from tables
	@for f in tools/gen_tables.mjs tools/gen_bindings.mjs tools/gen_powers.mjs tools/gen_crc32c.mjs; do node $$f; done
format: ## clang-format over the C sources
	@command -v clang-format > /dev/null || { echo "install by hand, as root: apt-get install clang-format"; exit 1; }
	@git ls-files '*.c' '*.h' | grep -v '\.gen\.h$$' | xargs clang-format -i
clean: ## remove build/
	@rm -rf build
