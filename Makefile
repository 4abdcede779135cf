# Every target builds the environment it needs in .venv and is safe to repeat. `make` alone lists them.
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
# The first interpreter of these that is new enough; name another with `make PYTHON=/path/to/python3.12 ...`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
# More arguments for pytest: make test ARGS="tests/networks -k dcgan"
ARGS ?=
# One thread a worker and one worker a core is the fastest way through many small tests.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal

.PHONY: help env demo test test-fast check format lint types layers docs clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(VENV)/.stamp ## build the environment in .venv

$(VENV)/.stamp: pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo 'saddlepoint needs Python 3.11 or newer; none was found. Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: env ## train on the shipped images and leave a report that opens in a browser; replaces demo/
	rm -rf demo
	$(BIN)/saddlepoint demo --out demo

test: env ## the whole test suite, doctests included
	$(PYTEST) $(ARGS)

test-fast: env ## the test suite without the tests marked slow
	$(PYTEST) -m "not slow" $(ARGS)

check: format lint types layers docs test ## everything that must pass before a change lands

format: env ## is every file formatted? (apply with: .venv/bin/ruff format .)
	$(BIN)/ruff format --check .

lint: env ## ruff's checks (repair with: .venv/bin/ruff check --fix .)
	$(BIN)/ruff check .

types: env ## mypy, strict
	$(BIN)/mypy

layers: env ## imports only flow in one direction
	$(BIN)/lint-imports --no-logo --cache-dir .import_linter_cache

docs: env ## build the pages into site/; a broken link is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky -d build/doctrees docs site

clean: ## remove everything that was built, the environment included
	rm -rf $(VENV) build dist site demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find saddlepoint tests tools docs -name __pycache__ -type d -prune -exec rm -rf {} +
