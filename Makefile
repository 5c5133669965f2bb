# `make` alone lists the targets. Everything installs into .venv and .cache below this folder. Programs that take minutes
# to build (etcd, kube-apiserver, Pebble) are kept in the user's cache folder, where all checkouts share them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := .:e2e
# Some images set this, and the hundreds of programs that tests start would then compile every module again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "; print "Certwright: make <target>; KEEP=1 keeps what it starts running until Ctrl-C\n"} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/ready ## Show the operator at work: from nothing to a certificate that an ingress controller serves (KEEP=1)
	@$(BIN)/python -m demo

.PHONY: demo-node
demo-node: $(VENV)/ready ## Show the same on a real node, with HTTP-01 (root; KEEP=1)
	@echo "==> Programs of the test bed and its node: build the missing ones (once; 15 to 30 minutes)"
	@$(BIN)/python -m testbed build --node >/dev/null
	@echo "==> Certwright's image: build it if needed (2 minutes; seconds after a change)"
	@$(BIN)/python -m image --testbed
	@$(BIN)/python -m testbed isolated -- $(BIN)/python -m demo --node

.PHONY: test
test: $(VENV)/ready ## Run all checks, all tests, and e2e where it can run; CI runs this
	@$(MAKE) --no-print-directory --jobs=2 lint docs
	@echo "==> Programs of the test bed: build the missing ones (once; 10 to 20 minutes)"
	@$(BIN)/python -m testbed build
	@echo "==> Integration tests and, in parallel, unit tests (their output follows when they have finished)"
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory --jobs=2 integration-tests unit-tests
	@echo "==> Coverage (not including the operator's own process in integration tests)"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --format=total --fail-under=90 | sed 's/$$/ % of lines and branches/'
	@if why=$$($(BIN)/python -m testbed can-isolate 2>&1); then $(MAKE) --no-print-directory e2e; \
	else printf '==> NOT RUN: the scenarios on a real node (make e2e). %s\n' "$$why"; fi
	@echo "==> All checks and all tests that can run here passed."

# The two parts of `test`. With PYTEST_ARGS, which choose tests, one part may have none; pytest's status is then 5.
NONE_CHOSEN = test $$? -eq 5 -a -n '$(subst ','\'',$(PYTEST_ARGS))'
PARALLEL := --dist loadfile --no-loadscope-reorder --cov --cov-report=

.PHONY: integration-tests
integration-tests:
	@# Three workers, each with a test bed of its own.
	@COVERAGE_FILE=.coverage.integration $(BIN)/pytest tests/integration --numprocesses 3 $(PARALLEL) $(PYTEST_ARGS) || $(NONE_CHOSEN)

.PHONY: unit-tests
unit-tests:
	@mkdir -p .cache
	@status=0; \
	COVERAGE_FILE=.coverage.unit $(BIN)/pytest --ignore=tests/integration --numprocesses 2 $(PARALLEL) $(PYTEST_ARGS) \
	  > .cache/unit-tests.txt 2>&1 || $(NONE_CHOSEN) || status=$$?; \
	cat .cache/unit-tests.txt; exit $$status

.PHONY: unit
unit: $(VENV)/ready ## Run the unit tests: a minute, needs Python only
	@# Nothing is built for these: tests that need Helm are skipped if it is not built yet, and types are for `make lint`.
	@$(BIN)/pytest --quiet --numprocesses auto --dist loadfile --skip-unbuilt \
	  --ignore=tests/integration --ignore=tests/typing $(PYTEST_ARGS)

.PHONY: simulate
simulate: $(VENV)/ready ## Simulate a year of 2,000 Certificates in minutes, and draw it (SIMULATION_SEED="1 2" SIMULATION_CERTIFICATES=2000)
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation --seed $(or $(SIMULATION_SEED),1) \
	  --certificates $(or $(SIMULATION_CERTIFICATES),2000) --plot docs/_static/year.svg

.PHONY: fuzz
fuzz: $(VENV)/ready ## Fuzz every parser of untrusted input (FUZZ_SECONDS=60 each)
	@$(BIN)/pytest --quiet --numprocesses auto --dist load tests/fuzz \
	  --fuzz-seconds=$(or $(FUZZ_SECONDS),60) --fuzz-seed=$(or $(FUZZ_SEED),$(shell date +%s)) --timeout=0 $(PYTEST_ARGS)

.PHONY: integration
integration: $(VENV)/ready ## Run the integration tests: real API server, CA, DNS server
	@$(BIN)/python -m testbed build
	@$(BIN)/pytest tests/integration $(PYTEST_ARGS)

.PHONY: e2e
e2e: $(VENV)/ready ## Test whole clusters on a real node (root; KEEP=1 waits after a failure)
	@echo "==> Programs of the test bed and its node: build the missing ones (once; 15 to 30 minutes)"
	@$(BIN)/python -m testbed build --node
	@echo "==> Certwright's image: build it if needed (2 minutes; seconds after a change)"
	@$(BIN)/python -m image --testbed
	@echo "==> Scenarios, in two halves in parallel, each in its own network, mount and process namespaces"
	@$(BIN)/python -m scenarios $(PYTEST_ARGS)

.PHONY: lint
lint: $(VENV)/ready ## Check style, imports, types; CRDs, chart and manifests up to date
	@# Fast checks first.
	@echo "==> ruff: style"
	@$(BIN)/ruff check --quiet .
	@echo "==> ruff: format"
	@$(BIN)/ruff format --check --quiet . || { echo "Run 'make format'."; exit 1; }
	@echo "==> crds/ and the chart's copies up to date with the models"
	@$(BIN)/certwright crds --check
	@$(BIN)/certwright crds --check --output-dir helm/certwright/files/crds
	@echo "==> import-linter: layers, no cycles"
	@told=$$($(BIN)/lint-imports) || { echo "$$told"; exit 1; }
	@echo "==> mypy: types"
	@$(BIN)/mypy
	@echo "==> gofmt, go vet: the test bed's own programs"
	@cd testbed/go && test -z "$$(gofmt -l .)"
	@cd testbed/go/pebble && go vet .
	@cd testbed/go/pods && go vet ./...
	@echo "==> helm lint; schema, docs/helm.md and deploy/ up to date with the chart"
	@$(BIN)/python -m chart check

.PHONY: docs
docs: $(VENV)/ready ## Build the documentation into .cache/docs, check its links
	@echo "==> Documentation: built, links checked (nothing is fetched)"
	@# From scratch, because Sphinx does not notice changes in the docstrings and schemas that pages are generated from.
	@$(BIN)/sphinx-build -q -E -a -W --keep-going -b html -d .cache/doctrees docs .cache/docs
	@$(BIN)/python docs/check_links.py .cache/docs

.PHONY: format
format: $(VENV)/ready ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

.PHONY: image
image: $(VENV)/ready ## Build the image as an archive: docker, podman or buildah (BASE=...)
	@$(BIN)/python -m image

.PHONY: bench
bench: $(VENV)/ready ## Measure seconds to Ready, requests, memory, many at once
	@$(BIN)/python -m bench

.PHONY: bench-node
bench-node: $(VENV)/ready ## Measure HTTP-01 on a real node (root)
	@$(BIN)/python -m testbed build --node > /dev/null
	@$(BIN)/python -m image --testbed
	@$(BIN)/python -m testbed isolated -- $(BIN)/python -m bench.node

.PHONY: crds
crds: $(VENV)/ready ## Write crds/, and the copies in the chart, from the models
	@$(BIN)/certwright crds --output-dir crds
	@$(BIN)/certwright crds --output-dir helm/certwright/files/crds

.PHONY: chart
chart: crds ## Write what is generated from the chart: schema, docs, manifests
	@$(BIN)/python -m chart write

.PHONY: manifests
manifests: chart ## The same as chart, which generates the plain manifests

.PHONY: testbed-up
testbed-up: $(VENV)/ready ## Start a test bed and leave it running
	@$(BIN)/python -m testbed up

.PHONY: testbed-down
testbed-down: $(VENV)/ready ## Stop the test bed
	@$(BIN)/python -m testbed down

.PHONY: lock
lock: ## Pin the dependencies again, with hashes (needs uv)
	@for kind in runtime dev; do \
	  uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --no-emit-index-url --no-emit-find-links --upgrade pyproject.toml \
	    $$([ $$kind = dev ] && echo "--group dev --group docs") -o requirements/$$kind.txt; \
	done
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --group build --constraints requirements/dev.txt -o requirements/build.txt

.PHONY: clean
clean: ## Remove what the other targets wrote below this folder
	@rm -rf $(VENV) .cache .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: clean-testbed
clean-testbed: $(VENV)/ready ## Stop the test bed and remove the programs built for it
	@$(BIN)/python -m testbed clean --programs

$(VENV)/ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@echo "==> Installing the pinned dependencies into $(VENV) (about a minute, once)"
	@# Without --no-deps pip would look for the newest coverage[toml], which the lock spells coverage, and refuse it for its hash.
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
