# `make quickstart` and `make test` do all the set-up there is; a second call starts at once.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: quickstart install test check bench clean help
.DEFAULT_GOAL := help

help:                ## What can be made
	@sed -nE "s|^([a-z]+):.*## (.*)|\1\t\2|p" $(MAKEFILE_LIST) | expand -t 14

quickstart: $(READY) ## Run a whole loop: private Label Studio, robot annotators, real images, until the target is hit
	$(BIN)/alearn quickstart

install: $(READY)    ## Create the virtual environment

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("alearn needs Python 3.11 or newer: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --python $(BIN)/python -e '.[dev]'
	touch $@

test: $(READY)       ## Run all tests, in three processes: some of them wait for servers
	$(BIN)/pytest -n 3 --dist loadgroup

check: $(READY)      ## Lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy alearn connectors
	$(BIN)/lint-imports

clean:               ## Remove the virtual environment and every loop under runs/
	rm -rf $(VENV) runs
