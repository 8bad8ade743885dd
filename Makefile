# `make demo` runs the main job, `make test` the whole suite, JOBS modules at a time. Both need only python3
# and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
STAMP := $(VENV)/.installed

.PHONY: demo test test-local test-ray check bench format clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'
.PHONY: help

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## run the main job on real input: a table and a picture
	$(BIN)/pullahead demo

test: test-local test-ray  ## run the whole test suite

test-local: $(STAMP)  ## run all of it but what needs Ray
	$(PYTEST) -m 'not ray'

test-ray: $(STAMP)  ## run the rest: on a local Ray, on a Ray of three nodes
	$(PYTEST) -m ray

check: $(STAMP)  ## lint, types, import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/surface/test_arrows.py

bench: $(STAMP)  ## install the peers, print the benchmarks, write bench.json and bench.svg
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/pullahead bench --json bench.json --picture bench.svg

format: $(STAMP)  ## let ruff put imports and layout right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what the other targets made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis bench.json bench.svg demo.svg demo.png
