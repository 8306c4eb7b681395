# Everything happens in .venv, which is made on first use. `make help` lists the targets.

PYTHON ?= python3
PIP_ARGS ?=
SGLC_TEST_DATA ?= $(abspath $(wildcard ../shared/data))

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Tests that read external data skip, and say so, where there is none.
ifneq ($(SGLC_TEST_DATA),)
export SGLC_TEST_DATA
endif
export HF_HUB_OFFLINE := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-full fuzz lint format clean

demo: $(READY) ## set up, then run small programs on a small model and show the results
	@$(BIN)/python -m sglc demo

test: lint ## set up, then lint, type-check and run the tests
	@$(BIN)/python -m pytest -n auto --dist worksteal

test-full: lint ## the same with the long tests at their full size
	@SGLC_TEST_FULL=1 $(BIN)/python -m pytest -n auto --dist worksteal

N ?= 10000
SEED ?= 0
fuzz: $(READY) ## compare random programs, compiled and eager: N=10000 of them, from SEED=0 on
	@SGLC_FUZZ=$(N) SGLC_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -n auto --dist worksteal tests/test_compiled_programs.py

lint: $(READY) ## ruff, mypy --strict and the floors of the house
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict sglc
	@$(BIN)/python -m pytest -q -o addopts= tests/test_floors.py

format: $(READY) ## let ruff sort imports and lay out the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove the environment, caches and built files
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "found Python " + sys.version.split()[0] + \
	    "; wanted 3.11 or newer: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	@touch $@
