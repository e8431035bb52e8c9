# `make demo` and `make test` are the two commands of the README; each sets up what it needs on a fresh machine.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
FORMAT ?= table
NOTICE ?= imaging-cloud
ARGS ?=
TARGET ?= scanner
RUNS ?= 100000
WORKERS ?= 2

.PHONY: help setup packages demo serve test check fix bench crash fuzz hostile promises asvs conformance catalogue mutate wheel lock clean

help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.stamp vendor.stamp ## Everything a run needs: .venv, locked packages, viewer and page assets

$(VENV)/.stamp: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: vendor.stamp
vendor.stamp: $(VENV)/.stamp
	@$(BIN)/python tools/vendor.py

packages: ## Debian packages that tests use (as root; elsewhere they are named)
	@tools/packages

demo: setup ## The main job on real DICOM files, step by step (ARGS=--once; NOTICE=imaging-host; ARGS="--http 127.0.0.1:9380")
	$(BIN)/troth demo --notice notices/$(NOTICE) $(ARGS)

serve: setup ## The platform on loopback
	$(BIN)/troth serve --notice notices/$(NOTICE) $(ARGS)

test: setup packages check ## Every check and every test (WORKERS=2 at a time)
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: setup ## Format, lint, types, import contracts
	$(BIN)/ruff format --check src tests tools bench
	$(BIN)/ruff check src tests tools bench
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup ## Format and mend what can be mended by machine
	$(BIN)/ruff format src tests tools bench
	$(BIN)/ruff check --fix src tests tools bench

bench: setup ## Troth and Orthanc, measured in one run (FORMAT=json)
	@tools/packages bench
	$(BIN)/python -m bench.run --format $(FORMAT) $(ARGS)

crash: setup ## 200 kills under load (long; results are kept in docs/)
	TROTH_KILLS=200 $(BIN)/python -m pytest tests/crash $(ARGS)

fuzz: setup ## Fuzz what reads a stranger's bytes (TARGET=scanner|metadata|association|parts RUNS=1000000; TARGET=time)
	@[ $(TARGET) = time ] || $(PIP) --require-hashes -r requirements/fuzz.txt
	$(BIN)/python tools/$(if $(filter time,$(TARGET)),growth,fuzz).py $(TARGET) --runs $(RUNS) $(ARGS)

hostile: setup ## Over a thousand costly and hostile inputs through every door, each measured (ARGS=--keep writes docs/hostile.md)
	$(BIN)/python -m tests.hostile.campaign $(ARGS)

faults: setup ## Each system call that writes fails at each place while images come in (long)
	TROTH_FAULTS=all $(BIN)/python -m pytest tests/crash/test_faults.py $(ARGS)

raw: setup ## Erase a person with 1,000 images and search the raw disk image for them
	TROTH_RAW=1000 $(BIN)/python -m pytest tests/crash/test_raw_erasure.py $(ARGS)

promises: setup ## All 97 promises: kept by which test, or open (FORMAT=json)
	@$(BIN)/python tools/promises.py --format $(FORMAT)

asvs: setup ## OWASP ASVS 5.0.0 L1 and L2: each requirement, and which test shows it (FORMAT=json; writes docs/security/asvs.md)
	@$(BIN)/python -m tools.asvs --format $(FORMAT) $(ARGS)

conformance: setup ## The DICOM conformance statement from code and tests (FORMAT=json; ARGS=--run runs them first)
	@$(BIN)/python -m tools.conformance --format $(FORMAT) $(ARGS)

catalogue: setup ## The catalogue that `troth verify` holds each database against; after every migration
	@$(BIN)/python tools/catalogue.py

mutate: setup ## Take out each policy, fact, row policy and ordering: every one must be missed (FORMAT=json; ARGS=--keep; resumable)
	@$(BIN)/python tools/mutate.py --format $(FORMAT) $(ARGS)

wheel: setup ## A wheel that carries the viewer
	$(BIN)/python -m build --wheel --no-isolation

lock: ## Renew the locked requirements (hashes, no addresses)
	$(PIP) 'uv>=0.5'
	$(BIN)/uv pip compile -q --upgrade --no-strip-extras --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --no-strip-extras --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 pyproject.toml requirements/tools.in -c requirements/runtime.txt -o requirements/dev.txt

clean: ## Remove what was made
	rm -rf $(VENV) build dist artefacts .mypy_cache .ruff_cache
